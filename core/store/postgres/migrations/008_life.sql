-- What a VM can be brought back to: memory and disks of one moment, on the node that made it.
CREATE TABLE checkpoints (
    vm_id       bigint PRIMARY KEY REFERENCES vms ON DELETE CASCADE,
    path        text NOT NULL CONSTRAINT checkpoints_path_check CHECK (path <> ''),
    at          timestamptz NOT NULL DEFAULT now(),
    node_id     bigint NOT NULL REFERENCES nodes ON DELETE CASCADE,
    di_id       bigint REFERENCES dis ON DELETE SET NULL,
    hypervisor  text NOT NULL,
    agent_token text
);
CREATE INDEX checkpoints_node ON checkpoints (node_id);
CREATE INDEX checkpoints_di ON checkpoints (di_id);
COMMENT ON COLUMN checkpoints.agent_token IS 'what the agent in the saved memory knows';

ALTER TABLE vm_runtimes
    ADD COLUMN order_taken text,
    ADD COLUMN restarts boolean NOT NULL DEFAULT false,
    ADD COLUMN from_checkpoint boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN vm_runtimes.attempt IS 'failures in a row, not counting those from before it ran well';
COMMENT ON COLUMN vm_runtimes.order_taken IS 'the order that its node has taken and not answered';
COMMENT ON COLUMN vm_runtimes.restarts IS 'it is being stopped, and its node starts it again then';
COMMENT ON COLUMN vm_runtimes.from_checkpoint IS 'this start, ordered or under way, goes back to the checkpoint';

-- Who is let in no more loses what he has open.
CREATE FUNCTION announce_operators() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_operators', '');
    RETURN NULL;
END $$;
CREATE TRIGGER operators_changed AFTER UPDATE OR DELETE ON operators
FOR EACH STATEMENT EXECUTE FUNCTION announce_operators();
