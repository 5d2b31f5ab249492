-- An order besides start and stop whose node died before it answered. Any broker may find that out,
-- and answers it in the node's place; what is to be with the VM stays the node's to say. False: it is
-- not so (any more); the node, should it come back, finds no order.
CREATE FUNCTION give_up_order(vm bigint, node bigint, why text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = qvd, pg_temp AS $$
BEGIN
    UPDATE vm_runtimes AS r
    SET command = CASE WHEN r.command IN ('start', 'stop') THEN r.command END,
        order_taken = CASE WHEN r.order_taken = 'stop' THEN r.order_taken END,
        order_answered = r.order_number, order_code = 'node.lost', order_answer = why
    FROM node_runtimes AS m
    WHERE r.vm_id = vm AND r.node_id = node AND m.node_id = node
      AND r.order_answered < r.order_number AND m.seen < now() - interval '35 seconds';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- One that could not be resumed gives its memory back.
    DELETE FROM reservations AS s USING vm_runtimes AS r
    WHERE s.vm_id = vm AND r.vm_id = vm AND r.state = 'suspended';
    RETURN true;
END $$;
COMMENT ON FUNCTION give_up_order IS 'by node_silence of the programs';

-- Whoever waits for an order's answer is told of it as of a state.
CREATE TRIGGER vm_runtimes_answered AFTER UPDATE OF order_answered ON vm_runtimes FOR EACH ROW
WHEN (NEW.order_answered <> OLD.order_answered)
EXECUTE FUNCTION announce_vm_state();
