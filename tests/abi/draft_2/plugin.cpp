// Draft 2 of qvd/plugin.h, as it is: every size, offset, type and value. A change of the header
// without a new draft number (QVD_ABI_DRAFT), and a new folder of these files, does not compile.
#include "tests/abi/layout.hpp"

#include <qvd/plugin.h>

VALUE(QVD_ABI_MAJOR, 1);
VALUE(QVD_ABI_MINOR, 0);
VALUE(QVD_ABI_DRAFT, 2);

SIZE(qvd_str, 16);
FIELD(qvd_str, data, 0, const char*);
FIELD(qvd_str, length, 8, size_t);

SIZE(qvd_secret, 16);
FIELD(qvd_secret, data, 0, const char*);
FIELD(qvd_secret, length, 8, size_t);

SIZE(qvd_array, 24);
FIELD(qvd_array, first, 0, const void*);
FIELD(qvd_array, count, 8, size_t);
FIELD(qvd_array, stride, 16, size_t);

SIZE(qvd_property, 40);
FIELD(qvd_property, size, 0, uint32_t);
FIELD(qvd_property, reserved, 4, uint32_t);
FIELD(qvd_property, key, 8, qvd_str);
FIELD(qvd_property, value, 24, qvd_str);
ALIAS(qvd_status, int32_t);
VALUE(QVD_OK, 0);
VALUE(QVD_PENDING, 1);
VALUE(QVD_DECLINED, 2);
VALUE(QVD_DENIED, -1);
VALUE(QVD_NOT_FOUND, -2);
VALUE(QVD_UNAVAILABLE, -3);
VALUE(QVD_TIMEOUT, -4);
VALUE(QVD_CANCELLED, -5);
VALUE(QVD_INVALID, -6);
VALUE(QVD_UNSUPPORTED, -7);
VALUE(QVD_INTERNAL, -8);
VALUE(QVD_CONFLICT, -9);

SIZE(qvd_call, 80);
FIELD(qvd_call, size, 0, uint32_t);
FIELD(qvd_call, reserved, 4, uint32_t);
FIELD(qvd_call, id, 8, uint64_t);
FIELD(qvd_call, trace_id, 16, qvd_str);
FIELD(qvd_call, remaining_ms, 32, int64_t (*)(const qvd_call*));
FIELD(qvd_call, fail, 40, void (*)(qvd_call*, qvd_str));
FIELD(qvd_call, progress, 48, void (*)(qvd_call*, int32_t, qvd_str));
FIELD(qvd_call, put, 56, void (*)(qvd_call*, qvd_str, qvd_str));
FIELD(qvd_call, result, 64, void (*)(qvd_call*, uint32_t, const void*));
FIELD(qvd_call, complete, 72, void (*)(qvd_call*, qvd_status));
ALIAS(qvd_kind, uint32_t);
VALUE(QVD_KIND_PROPERTY, 1);
VALUE(QVD_KIND_USER, 2);
VALUE(QVD_KIND_VM_ENTRY, 3);
VALUE(QVD_KIND_PROCESS, 4);
VALUE(QVD_KIND_VM_STATUS, 16);
VALUE(QVD_KIND_IMAGE_STATUS, 17);
VALUE(QVD_KIND_ENDPOINT, 18);
VALUE(QVD_KIND_USAGE, 19);
VALUE(QVD_KIND_CAPACITY, 20);
VALUE(QVD_KIND_SAVED, 21);
VALUE(QVD_KIND_IDENTITY, 32);
VALUE(QVD_KIND_FACTORS, 33);
VALUE(QVD_KIND_CHOICE, 48);
VALUE(QVD_LOG_DEBUG, 0);
VALUE(QVD_LOG_INFO, 1);
VALUE(QVD_LOG_WARNING, 2);
VALUE(QVD_LOG_ERROR, 3);

SIZE(qvd_core, 72);
FIELD(qvd_core, size, 0, uint32_t);
FIELD(qvd_core, abi_major, 4, uint16_t);
FIELD(qvd_core, abi_minor, 6, uint16_t);
FIELD(qvd_core, draft, 8, uint32_t);
FIELD(qvd_core, reserved, 12, uint32_t);
FIELD(qvd_core, version, 16, qvd_str);
FIELD(qvd_core, instance, 32, qvd_str);
FIELD(qvd_core, log, 48, void (*)(const qvd_core*, int32_t, qvd_str));
FIELD(qvd_core, config, 56, qvd_status (*)(const qvd_core*, const char*, qvd_str*));
FIELD(qvd_core, service, 64, const void* (*)(const qvd_core*, const char*));
ALIAS(qvd_threading, uint32_t);
VALUE(QVD_SERIAL, 0);
VALUE(QVD_PER_INSTANCE, 1);
VALUE(QVD_CONCURRENT, 2);
VALUE(QVD_MAY_BLOCK, 256);
VALUE(QVD_KEY_REQUIRED, 1);
VALUE(QVD_KEY_SECRET, 2);
VALUE(QVD_KEY_FILE_ONLY, 4);
ALIAS(qvd_key_type, uint32_t);
VALUE(QVD_TEXT, 0);
VALUE(QVD_INTEGER, 1);
VALUE(QVD_NUMBER, 2);
VALUE(QVD_BOOLEAN, 3);
VALUE(QVD_SECONDS, 4);
VALUE(QVD_PATH, 5);

SIZE(qvd_config_key, 48);
FIELD(qvd_config_key, size, 0, uint32_t);
FIELD(qvd_config_key, flags, 4, uint32_t);
FIELD(qvd_config_key, type, 8, qvd_key_type);
FIELD(qvd_config_key, reserved, 12, uint32_t);
FIELD(qvd_config_key, name, 16, const char*);
FIELD(qvd_config_key, default_value, 24, const char*);
FIELD(qvd_config_key, meaning, 32, const char*);
FIELD(qvd_config_key, allowed, 40, const char*);

SIZE(qvd_interface, 16);
FIELD(qvd_interface, id, 0, const char*);
FIELD(qvd_interface, table, 8, const void*);

SIZE(qvd_interface_head, 32);
FIELD(qvd_interface_head, size, 0, uint32_t);
FIELD(qvd_interface_head, threading, 4, qvd_threading);
FIELD(qvd_interface_head, create, 8, qvd_status (*)(const qvd_core*, qvd_call*, void**));
FIELD(qvd_interface_head, destroy, 16, void (*)(void*));
FIELD(qvd_interface_head, cancel, 24, void (*)(void*, uint64_t));

SIZE(qvd_plugin, 96);
FIELD(qvd_plugin, size, 0, uint32_t);
FIELD(qvd_plugin, abi_major, 4, uint16_t);
FIELD(qvd_plugin, abi_minor, 6, uint16_t);
FIELD(qvd_plugin, draft, 8, uint32_t);
FIELD(qvd_plugin, min_core_minor, 12, uint16_t);
FIELD(qvd_plugin, reserved, 14, uint16_t);
FIELD(qvd_plugin, name, 16, const char*);
FIELD(qvd_plugin, version, 24, const char*);
FIELD(qvd_plugin, summary, 32, const char*);
FIELD(qvd_plugin, license, 40, const char*);
FIELD(qvd_plugin, interfaces, 48, qvd_array);
FIELD(qvd_plugin, keys, 72, qvd_array);
