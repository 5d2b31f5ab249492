-- How busy a VM is now: cores used between the last two reports of its node.
ALTER TABLE vm_usage ADD COLUMN cores double precision NOT NULL DEFAULT 0;
-- What an image's file must be, so that a damaged or an exchanged one is noticed.
ALTER TABLE dis ADD COLUMN size bigint NOT NULL DEFAULT 0, ADD COLUMN checksum text NOT NULL DEFAULT '';
COMMENT ON COLUMN dis.size IS 'bytes; 0: an older version added it';
COMMENT ON COLUMN dis.checksum IS 'sha256:<hex>; empty: an older version added it';
