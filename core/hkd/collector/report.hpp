// What the control protocol says of the storage, as JSON.
#pragma once

#include "hkd/collector/collector.hpp"
#include "net/frames.hpp"

#include <string>

namespace qvd::hkd {

// {"node", "items": [{"kind", "name", "path", "bytes", "changed", "needed", "used_by", "since",
// "goes"}], "left_off"}: as many items as fit an answer.
Async<std::string> storage_document(Collector& collector, std::string node);

// By the parameters dry_run=1, age=SECONDS and di=ID. {"node", "items": [{"kind", "name", "path",
// "bytes", "why", "problem"}], "left_off", "left", "bytes"}. Errors: invalid "storage.parameter".
Async<std::string> collect_document(Collector& collector, std::string node,
                                    net::Headers parameters);

}  // namespace qvd::hkd
