-- Why a VM is in its state, as a word for programs; and when the node tries a failed one again.
ALTER TABLE vm_runtimes
    ADD COLUMN reason_code text NOT NULL DEFAULT '',
    ADD COLUMN retry_at timestamptz;
COMMENT ON COLUMN vm_runtimes.retry_at IS 'when last_node_id starts the failed VM again (hkd.vm.failure = retry); null: it does not';
CREATE INDEX vm_runtimes_retry ON vm_runtimes (last_node_id) WHERE retry_at IS NOT NULL;

-- Orders besides start and stop: each has a number, and an answer that somebody may wait for.
ALTER TABLE vm_runtimes
    ADD COLUMN order_argument text NOT NULL DEFAULT '',
    ADD COLUMN order_number bigint NOT NULL DEFAULT 0,
    ADD COLUMN order_answered bigint NOT NULL DEFAULT 0,
    ADD COLUMN order_code text NOT NULL DEFAULT '',
    ADD COLUMN order_answer text NOT NULL DEFAULT '',
    ADD COLUMN saved_path text NOT NULL DEFAULT '',
    DROP CONSTRAINT vm_runtimes_command_check,
    ADD CONSTRAINT vm_runtimes_command_check CHECK (command IN
        ('start', 'stop', 'pause', 'unpause', 'suspend', 'resume', 'checkpoint', 'snapshot', 'reset')),
    DROP CONSTRAINT IF EXISTS vm_runtimes_stopped_check,
    ADD CONSTRAINT vm_runtimes_stopped_check CHECK (
        state NOT IN ('stopped', 'failed')
        OR (current_di_id IS NULL AND agent_token IS NULL AND expires_soft IS NULL AND expires_hard IS NULL
            AND saved_path = '' AND coalesce(command, 'start') = 'start'));
COMMENT ON COLUMN vm_runtimes.order_answered IS 'the number of the last order that was answered: by order_code (empty: done) and order_answer';
COMMENT ON COLUMN vm_runtimes.saved_path IS 'of a suspended VM: its memory, on its node';
