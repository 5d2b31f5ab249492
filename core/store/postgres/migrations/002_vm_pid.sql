-- The process that keeps a VM running, on its node (vm_pid of `qa vm list -f`); 0: not known.
ALTER TABLE vm_usage ADD COLUMN pid integer NOT NULL DEFAULT 0;
