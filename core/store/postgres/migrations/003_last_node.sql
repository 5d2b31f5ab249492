-- Where a VM ran last: a load balancer may want it there again.
ALTER TABLE vm_runtimes ADD COLUMN last_node_id bigint
    CONSTRAINT vm_runtimes_last_node_fkey REFERENCES nodes ON DELETE SET NULL;
CREATE INDEX vm_runtimes_last_node ON vm_runtimes (last_node_id);
COMMENT ON COLUMN vm_runtimes.last_node_id IS 'kept while the VM is stopped';
