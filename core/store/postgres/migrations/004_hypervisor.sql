-- What runs a VM stays known when its OSF's hypervisor is changed meanwhile.
ALTER TABLE vm_runtimes ADD COLUMN hypervisor text;
COMMENT ON COLUMN vm_runtimes.hypervisor IS 'the plugin that it was launched by; null: it is stopped, or an older hkd launched it';
