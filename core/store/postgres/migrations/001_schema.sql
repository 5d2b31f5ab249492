-- Schema version 1. Runs as the owner, in one transaction, with search_path = qvd.

CREATE TABLE versions (
    component text PRIMARY KEY,
    version   text NOT NULL,
    since     timestamptz NOT NULL DEFAULT now()
);

-- Users, osfs, images ------------------------------------------------------------------------

CREATE TABLE users (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login    text NOT NULL CONSTRAINT users_login_check CHECK (octet_length(login) BETWEEN 1 AND 255),
    password text,
    created  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_login_key UNIQUE (login)
);
COMMENT ON COLUMN users.password IS 'the hash with its parameters; NULL: only other authenticators let this user in';

CREATE TABLE osfs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL CONSTRAINT osfs_name_check CHECK (octet_length(name) BETWEEN 1 AND 64),
    memory       bigint NOT NULL DEFAULT 256,
    use_overlay  boolean NOT NULL DEFAULT true,
    user_storage bigint NOT NULL DEFAULT 0,
    CONSTRAINT osfs_name_key UNIQUE (name),
    CONSTRAINT osfs_memory_check CHECK (memory BETWEEN 1 AND 16777216),
    CONSTRAINT osfs_user_storage_check CHECK (user_storage BETWEEN 0 AND 1073741824)
);
COMMENT ON COLUMN osfs.memory IS 'MiB';
COMMENT ON COLUMN osfs.user_storage IS 'MiB of the home; 0: none';

CREATE TABLE dis (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid    uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    osf_id  bigint NOT NULL CONSTRAINT dis_osf_fkey REFERENCES osfs,
    name    text NOT NULL CONSTRAINT dis_name_check CHECK (name <> '' AND position('/' IN name) = 0),
    path    text NOT NULL GENERATED ALWAYS AS (id::text || '-' || name) STORED,
    version text NOT NULL CONSTRAINT dis_version_check CHECK (version NOT IN ('', 'head', 'default')),
    created timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT dis_version_key UNIQUE (osf_id, version),
    CONSTRAINT dis_id_osf_key UNIQUE (id, osf_id)
);
COMMENT ON COLUMN dis.path IS 'file name inside path.storage.images';

-- osf_id repeats the image's, so that one index keeps a tag single in its osf.
CREATE TABLE di_tags (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    di_id  bigint NOT NULL,
    osf_id bigint NOT NULL,
    tag    text NOT NULL CONSTRAINT di_tags_tag_check CHECK (octet_length(tag) BETWEEN 1 AND 128),
    fixed  boolean NOT NULL DEFAULT false,
    CONSTRAINT di_tags_tag_key UNIQUE (osf_id, tag),
    CONSTRAINT di_tags_di_fkey FOREIGN KEY (di_id, osf_id) REFERENCES dis (id, osf_id) ON DELETE CASCADE
);
CREATE INDEX di_tags_di ON di_tags (di_id);
COMMENT ON COLUMN di_tags.fixed IS 'the version of the image: neither removed nor taken';

-- Nodes --------------------------------------------------------------------------------------

CREATE TABLE nodes (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid    uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    name    text NOT NULL CONSTRAINT nodes_name_check CHECK (octet_length(name) BETWEEN 1 AND 127),
    address inet NOT NULL CONSTRAINT nodes_address_check CHECK (family(address) = 4 AND masklen(address) = 32),
    CONSTRAINT nodes_name_key UNIQUE (name),
    CONSTRAINT nodes_address_key UNIQUE (address)
);

CREATE TABLE node_runtimes (
    node_id      bigint PRIMARY KEY REFERENCES nodes ON DELETE CASCADE,
    state        text NOT NULL DEFAULT 'stopped'
                 CONSTRAINT node_runtimes_state_check CHECK (state IN ('stopped', 'starting', 'running', 'stopping', 'lost')),
    blocked      boolean NOT NULL DEFAULT false,
    reason       text NOT NULL DEFAULT '',
    seen         timestamptz,
    lease_epoch  bigint NOT NULL DEFAULT 0,
    boot_id      text NOT NULL DEFAULT '',
    memory_total double precision NOT NULL DEFAULT 0,
    memory_free  double precision NOT NULL DEFAULT 0,
    cpus         integer NOT NULL DEFAULT 0,
    cpu_idle     double precision NOT NULL DEFAULT 0,
    cpu_bogomips double precision NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
COMMENT ON COLUMN node_runtimes.seen IS 'last heart-beat of its hkd, which comes every 10 s';
COMMENT ON COLUMN node_runtimes.lease_epoch IS 'counts the hkds that claimed the node; an older one may not write any more';
COMMENT ON COLUMN node_runtimes.memory_total IS 'MiB';
COMMENT ON COLUMN node_runtimes.memory_free IS 'MiB available';

CREATE TABLE node_counters (
    node_id        bigint PRIMARY KEY REFERENCES nodes ON DELETE CASCADE,
    http_requests  bigint NOT NULL DEFAULT 0,
    auth_attempts  bigint NOT NULL DEFAULT 0,
    auth_ok        bigint NOT NULL DEFAULT 0,
    nx_attempts    bigint NOT NULL DEFAULT 0,
    nx_ok          bigint NOT NULL DEFAULT 0,
    short_sessions bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- Virtual machines ---------------------------------------------------------------------------

CREATE TABLE vms (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid    uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    name    text NOT NULL CONSTRAINT vms_name_check CHECK (octet_length(name) BETWEEN 1 AND 64),
    user_id bigint NOT NULL CONSTRAINT vms_user_fkey REFERENCES users,
    osf_id  bigint NOT NULL CONSTRAINT vms_osf_fkey REFERENCES osfs,
    di_tag  text NOT NULL DEFAULT 'default' CONSTRAINT vms_di_tag_check CHECK (octet_length(di_tag) BETWEEN 1 AND 128),
    address inet NOT NULL CONSTRAINT vms_address_check CHECK (family(address) = 4 AND masklen(address) = 32),
    created timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT vms_name_key UNIQUE (name),
    CONSTRAINT vms_address_key UNIQUE (address)
);
CREATE INDEX vms_user ON vms (user_id);
CREATE INDEX vms_osf ON vms (osf_id);

CREATE TABLE vm_runtimes (
    vm_id         bigint PRIMARY KEY REFERENCES vms ON DELETE CASCADE,
    state         text NOT NULL DEFAULT 'stopped'
                  CONSTRAINT vm_runtimes_state_check CHECK (state IN
                      ('stopped', 'starting', 'running', 'stopping', 'zombie', 'failed', 'debug', 'paused', 'suspended')),
    phase         smallint NOT NULL DEFAULT 0,
    reason        text NOT NULL DEFAULT '',
    since         timestamptz NOT NULL DEFAULT now(),
    blocked       boolean NOT NULL DEFAULT false,
    command       text CONSTRAINT vm_runtimes_command_check CHECK (command IN ('start', 'stop')),
    node_id       bigint CONSTRAINT vm_runtimes_node_fkey REFERENCES nodes,
    current_di_id bigint CONSTRAINT vm_runtimes_di_fkey REFERENCES dis,
    real_user_id  bigint CONSTRAINT vm_runtimes_real_user_fkey REFERENCES users ON DELETE SET NULL,
    incarnation   bigint NOT NULL DEFAULT 0,
    attempt       integer NOT NULL DEFAULT 0,
    address       inet,
    agent_token   text,
    agent_seen    timestamptz,
    expires_soft  timestamptz,
    expires_hard  timestamptz,
    CONSTRAINT vm_runtimes_phase_check CHECK (
        CASE WHEN state IN ('starting', 'stopping', 'zombie') THEN phase IN (1, 2) ELSE phase = 0 END),
    -- Who runs or is about to has a node; what is stopped has one only while its start is pending.
    CONSTRAINT vm_runtimes_node_check CHECK (
        CASE WHEN state IN ('stopped', 'failed') THEN (node_id IS NOT NULL) = (command IS NOT DISTINCT FROM 'start')
             ELSE node_id IS NOT NULL END),
    CONSTRAINT vm_runtimes_stopped_check CHECK (
        state NOT IN ('stopped', 'failed')
        OR (current_di_id IS NULL AND agent_token IS NULL AND expires_soft IS NULL AND expires_hard IS NULL
            AND command IS DISTINCT FROM 'stop'))
) WITH (fillfactor = 70);
CREATE INDEX vm_runtimes_node ON vm_runtimes (node_id);
CREATE INDEX vm_runtimes_pending ON vm_runtimes (node_id) WHERE command IS NOT NULL;
CREATE INDEX vm_runtimes_di ON vm_runtimes (current_di_id);
COMMENT ON TABLE vm_runtimes IS 'exactly one row for each vm';
COMMENT ON COLUMN vm_runtimes.incarnation IS 'counts starts';
COMMENT ON COLUMN vm_runtimes.attempt IS 'failed starts in a row';
COMMENT ON COLUMN vm_runtimes.agent_token IS 'proves the broker to the agent of this incarnation';

CREATE TABLE vm_counters (
    vm_id        bigint PRIMARY KEY REFERENCES vms ON DELETE CASCADE,
    run_attempts bigint NOT NULL DEFAULT 0,
    run_ok       bigint NOT NULL DEFAULT 0
);

CREATE TABLE vm_usage (
    vm_id        bigint PRIMARY KEY REFERENCES vms ON DELETE CASCADE,
    incarnation  bigint NOT NULL,
    cpu_seconds  double precision NOT NULL,
    memory_bytes bigint NOT NULL,
    at           timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

CREATE TABLE endpoints (
    vm_id     bigint NOT NULL REFERENCES vms ON DELETE CASCADE,
    kind      text NOT NULL CONSTRAINT endpoints_kind_check CHECK (kind IN
                  ('nx', 'vnc', 'spice', 'ssh', 'serial', 'console', 'agent')),
    transport text NOT NULL CONSTRAINT endpoints_transport_check CHECK (transport IN ('tcp', 'unix')),
    address   text NOT NULL,
    port      integer NOT NULL CONSTRAINT endpoints_port_check CHECK (port BETWEEN 0 AND 65535),
    PRIMARY KEY (vm_id, kind)
);

-- Memory promised: until the VM stops, or, while its start is only ordered, until `until`.
CREATE TABLE reservations (
    vm_id   bigint PRIMARY KEY REFERENCES vms ON DELETE CASCADE,
    node_id bigint NOT NULL REFERENCES nodes ON DELETE CASCADE,
    mib     double precision NOT NULL CONSTRAINT reservations_mib_check CHECK (mib > 0),
    until   timestamptz NOT NULL DEFAULT 'infinity'
);
CREATE INDEX reservations_node ON reservations (node_id);

CREATE TABLE sessions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vm_id           bigint NOT NULL CONSTRAINT sessions_vm_fkey REFERENCES vms ON DELETE CASCADE,
    user_id         bigint NOT NULL CONSTRAINT sessions_user_fkey REFERENCES users ON DELETE CASCADE,
    client_address  inet,
    node_id         bigint CONSTRAINT sessions_node_fkey REFERENCES nodes ON DELETE SET NULL,
    worker          text NOT NULL,
    state           text NOT NULL DEFAULT 'connecting'
                    CONSTRAINT sessions_state_check CHECK (state IN ('connecting', 'connected', 'disconnected')),
    abort_requested boolean NOT NULL DEFAULT false,
    since           timestamptz NOT NULL DEFAULT now(),
    started         timestamptz NOT NULL DEFAULT now(),
    ended           timestamptz,
    reason          text NOT NULL DEFAULT '',
    CONSTRAINT sessions_live_check CHECK (state = 'disconnected' OR (node_id IS NOT NULL AND ended IS NULL))
);
CREATE UNIQUE INDEX sessions_live ON sessions (vm_id) WHERE state <> 'disconnected';
CREATE INDEX sessions_live_node ON sessions (node_id) WHERE state <> 'disconnected';
CREATE INDEX sessions_vm ON sessions (vm_id, ended);
CREATE INDEX sessions_user ON sessions (user_id);

-- Properties ---------------------------------------------------------------------------------

CREATE TABLE user_properties (
    owner_id bigint NOT NULL CONSTRAINT user_properties_owner_fkey REFERENCES users ON DELETE CASCADE,
    key text NOT NULL, value text NOT NULL, PRIMARY KEY (owner_id, key));
CREATE TABLE vm_properties (
    owner_id bigint NOT NULL CONSTRAINT vm_properties_owner_fkey REFERENCES vms ON DELETE CASCADE,
    key text NOT NULL, value text NOT NULL, PRIMARY KEY (owner_id, key));
CREATE TABLE osf_properties (
    owner_id bigint NOT NULL CONSTRAINT osf_properties_owner_fkey REFERENCES osfs ON DELETE CASCADE,
    key text NOT NULL, value text NOT NULL, PRIMARY KEY (owner_id, key));
CREATE TABLE di_properties (
    owner_id bigint NOT NULL CONSTRAINT di_properties_owner_fkey REFERENCES dis ON DELETE CASCADE,
    key text NOT NULL, value text NOT NULL, PRIMARY KEY (owner_id, key));
CREATE TABLE node_properties (
    owner_id bigint NOT NULL CONSTRAINT node_properties_owner_fkey REFERENCES nodes ON DELETE CASCADE,
    key text NOT NULL, value text NOT NULL, PRIMARY KEY (owner_id, key));

-- Configuration, operators, audit ------------------------------------------------------------

CREATE TABLE configs (
    key   text PRIMARY KEY CONSTRAINT configs_key_check CHECK (octet_length(key) BETWEEN 1 AND 255),
    value text NOT NULL
);
CREATE TABLE ssl_configs (
    key   text PRIMARY KEY CONSTRAINT ssl_configs_key_check CHECK (key IN
              ('l7r.ssl.key', 'l7r.ssl.cert', 'l7r.ssl.ca', 'l7r.ssl.crl')),
    value text NOT NULL
);

CREATE TABLE roles (
    name    text PRIMARY KEY,
    meaning text NOT NULL
);
INSERT INTO roles VALUES
    ('administrator', 'everything'),
    ('operator', 'start, stop, block and disconnect; users and virtual machines'),
    ('observer', 'look, change nothing');
CREATE TABLE operators (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL CONSTRAINT operators_name_key UNIQUE,
    password text,
    role     text NOT NULL REFERENCES roles,
    blocked  boolean NOT NULL DEFAULT false,
    created  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    who       text NOT NULL,
    operation text NOT NULL,
    subject   text NOT NULL,
    db_role   name NOT NULL DEFAULT session_user
);
CREATE INDEX audit_at ON audit (at);

-- Each vm and each node has its rows from the first moment, whoever adds it ------------------

CREATE FUNCTION complete_vm() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = qvd, pg_temp AS $$
BEGIN
    INSERT INTO vm_runtimes (vm_id) VALUES (NEW.id);
    INSERT INTO vm_counters (vm_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER vms_complete AFTER INSERT ON vms FOR EACH ROW EXECUTE FUNCTION complete_vm();

CREATE FUNCTION complete_node() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = qvd, pg_temp AS $$
BEGIN
    INSERT INTO node_runtimes (node_id) VALUES (NEW.id);
    INSERT INTO node_counters (node_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER nodes_complete AFTER INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION complete_node();

-- Announcements: what, the vm's id, the node's id (0: none). Never for heart-beats -----------

CREATE FUNCTION announce_vm_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_vm_command', NEW.vm_id || ' ' || coalesce(NEW.node_id, 0));
    RETURN NULL;
END $$;
CREATE TRIGGER vm_runtimes_command AFTER UPDATE OF command ON vm_runtimes FOR EACH ROW
WHEN (NEW.command IS NOT NULL AND NEW.command IS DISTINCT FROM OLD.command)
EXECUTE FUNCTION announce_vm_command();

CREATE FUNCTION announce_vm_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_vm_state', NEW.vm_id || ' ' || coalesce(NEW.node_id, OLD.node_id, 0));
    RETURN NULL;
END $$;
CREATE TRIGGER vm_runtimes_state AFTER UPDATE OF state, phase, blocked, command ON vm_runtimes FOR EACH ROW
WHEN (NEW.state <> OLD.state OR NEW.phase <> OLD.phase OR NEW.blocked <> OLD.blocked
      OR (OLD.command = 'start' AND NEW.command IS NULL))
EXECUTE FUNCTION announce_vm_state();

CREATE FUNCTION announce_session_abort() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_session_abort', NEW.vm_id || ' ' || coalesce(NEW.node_id, 0));
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_abort AFTER UPDATE OF abort_requested ON sessions FOR EACH ROW
WHEN (NEW.abort_requested AND NEW.state <> 'disconnected')
EXECUTE FUNCTION announce_session_abort();

CREATE FUNCTION announce_session_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_session_end', OLD.vm_id || ' ' || coalesce(OLD.node_id, 0));
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_end AFTER UPDATE OF state ON sessions FOR EACH ROW
WHEN (OLD.state <> 'disconnected' AND NEW.state = 'disconnected')
EXECUTE FUNCTION announce_session_end();
CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions FOR EACH ROW
WHEN (OLD.state <> 'disconnected')
EXECUTE FUNCTION announce_session_end();

CREATE FUNCTION announce_configuration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_configuration', '');
    RETURN NULL;
END $$;
CREATE TRIGGER configs_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON configs
FOR EACH STATEMENT EXECUTE FUNCTION announce_configuration();
CREATE TRIGGER ssl_configs_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ssl_configs
FOR EACH STATEMENT EXECUTE FUNCTION announce_configuration();
