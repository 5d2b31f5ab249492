-- A start that was ordered to a node which died before it took it, and which no other node can take.
-- Any broker may find that out, and none may write a VM's state otherwise. False: it is not so (any
-- more); the node, should it come back, finds no order.
CREATE FUNCTION give_up_start(vm bigint, node bigint, why text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = qvd, pg_temp AS $$
BEGIN
    UPDATE vm_runtimes AS r
    SET command = NULL, node_id = NULL, state = 'failed', since = now(), retry_at = NULL,
        from_checkpoint = false, reason_code = 'node.lost', reason = why
    FROM node_runtimes AS m
    WHERE r.vm_id = vm AND r.node_id = node AND m.node_id = node
      AND r.command = 'start' AND r.state IN ('stopped', 'failed')
      AND m.seen < now() - interval '35 seconds';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM reservations AS s WHERE s.vm_id = vm;
    RETURN true;
END $$;
COMMENT ON FUNCTION give_up_start IS 'by node_silence of the programs';
