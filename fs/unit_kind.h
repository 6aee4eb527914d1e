/* SPDX-License-Identifier: Apache-2.0 */
/* What cargo calls a unit: "lib-serde", "run-build-script-build-script-build". */
#ifndef FS_UNIT_KIND_H
#define FS_UNIT_KIND_H

#include "store/record.h"

struct unit_object;

/* The name of its fingerprint, part of the object; empty: it has none. */
struct span_str unit_kind(const struct unit_object *obj);

#endif
