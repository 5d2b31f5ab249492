-- What an inventory shows of VMs has changed: whoever keeps one reads it anew. Any number of these
-- in one transaction is one announcement. Nothing that changes while nothing happens (usage,
-- heart-beats) is shown there, nor are phases and commands.
CREATE FUNCTION announce_vms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('qvd_vms', '');
    RETURN NULL;
END $$;
CREATE TRIGGER vms_counted AFTER INSERT OR DELETE OR TRUNCATE ON vms
FOR EACH STATEMENT EXECUTE FUNCTION announce_vms();
CREATE TRIGGER vms_changed AFTER UPDATE OF uuid, name, user_id, osf_id, di_tag ON vms FOR EACH ROW
WHEN ((OLD.uuid, OLD.name, OLD.user_id, OLD.osf_id, OLD.di_tag)
      IS DISTINCT FROM (NEW.uuid, NEW.name, NEW.user_id, NEW.osf_id, NEW.di_tag))
EXECUTE FUNCTION announce_vms();
CREATE TRIGGER vm_runtimes_changed AFTER UPDATE OF state, blocked, node_id ON vm_runtimes FOR EACH ROW
WHEN (NEW.state <> OLD.state OR NEW.blocked <> OLD.blocked OR NEW.node_id IS DISTINCT FROM OLD.node_id)
EXECUTE FUNCTION announce_vms();

-- Of sessions it shows whose user is connected.
CREATE TRIGGER sessions_added AFTER INSERT ON sessions FOR EACH ROW
WHEN (NEW.state = 'connected')
EXECUTE FUNCTION announce_vms();
CREATE TRIGGER sessions_changed AFTER UPDATE OF state ON sessions FOR EACH ROW
WHEN ((OLD.state = 'connected') <> (NEW.state = 'connected'))
EXECUTE FUNCTION announce_vms();
CREATE TRIGGER sessions_gone AFTER DELETE ON sessions FOR EACH ROW
WHEN (OLD.state = 'connected')
EXECUTE FUNCTION announce_vms();
CREATE TRIGGER sessions_emptied AFTER TRUNCATE ON sessions
FOR EACH STATEMENT EXECUTE FUNCTION announce_vms();

-- Names of owners and OSFs, and the image that a tag means.
CREATE TRIGGER users_renamed AFTER UPDATE OF login ON users FOR EACH ROW
WHEN (NEW.login <> OLD.login)
EXECUTE FUNCTION announce_vms();
CREATE TRIGGER osfs_renamed AFTER UPDATE OF name ON osfs FOR EACH ROW
WHEN (NEW.name <> OLD.name)
EXECUTE FUNCTION announce_vms();
CREATE TRIGGER di_tags_counted AFTER INSERT OR DELETE ON di_tags
FOR EACH ROW EXECUTE FUNCTION announce_vms();
CREATE TRIGGER di_tags_moved AFTER UPDATE OF di_id, osf_id, tag ON di_tags FOR EACH ROW
WHEN ((OLD.di_id, OLD.osf_id, OLD.tag) IS DISTINCT FROM (NEW.di_id, NEW.osf_id, NEW.tag))
EXECUTE FUNCTION announce_vms();
