/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the index, byte for byte. Integers are little-endian in values,
 * big-endian in keys (so that LMDB's order is the order of the numbers).
 *
 *	str16  := u16 length, bytes
 *	time   := i64 seconds, u32 nanoseconds (< 10^9)
 *	digest := 32 bytes
 *
 * Each value in LMDB is preceded by its checksum:
 *
 *	stored := u64 sum, value
 *	sum    := XXH3-64(value, seed = XXH3-64(key, seed = table number))
 *
 * Records begin with a version byte, so that one record's format can change
 * without a new schema; a version we do not know is -EBADMSG. TABLE_DATA
 * holds bare contents, which their digest verifies.
 *
 *	table  key                              value
 *	META   "next-view"                      u32, the id of the next view
 *	BLOBS  digest                           blob
 *	DATA   digest                           the bytes of an inline blob
 *	DEAD   digest                           dead
 *	VIEWS  u32 view                         view
 *	NODES  u32 view, u64 ino                node
 *	NAMES  u32 view, u64 parent, the name   name
 *	LISTS  u64 hash, digest scope,
 *	       digest list                      list
 *	UNITS  u64 hash, digest scope,
 *	       digest list, digest values,
 *	       u64 fpr                          unit
 *
 *	blob   := u8 2, u8 tier, u64 size, u64 refs, u64 units, i64 used
 *	dead   := u8 1, i64 since      a blob with refs 0 has this row, too
 *	name   := u8 1, u64 ino
 *	view   := u8 1, u32 flags, str16 name, str16 workspace, u64 next_ino,
 *	          u64 seq, i64 created, i64 mounted, boot_id of 16 bytes
 *	node   := u8 1, u8 flags, u8 content, u32 mode, u32 uid, u32 gid,
 *	          u32 nlink, u64 size, u64 blocks, time atime, time mtime,
 *	          time ctime, body, u32 length, xattrs
 *	body   := by content: nothing | digest | u64 staging_id | str16 target
 *	xattrs := { str16 name, str16 value }
 *	list   := u8 1, u32 count, { u8 kind, str16 name }
 *	unit   := u8 1, u8 flags, str16 profile, str16 package, str16 writer,
 *	          i64 created, u32 compile_msec, str16 origin_workspace,
 *	          str16 origin_target, digest recipe, u32 count, { input },
 *	          u32 count, { file }
 *	input  := u8 kind, str16 name, digest value, str16 shown
 *	file   := u8 type, u32 mode, str16 path, by type: u64 size, digest
 *	          | u32 index of an earlier file | str16 target | nothing
 *
 * In a key of LISTS and UNITS, list is the SHA-256 of the list's value, and
 * values that of the inputs' values, one after the other. An object's inputs
 * are those of its list, in the same order.
 *
 * Worked example: the name "dep-lib" in directory 7 of view 3, node 0x1a2:
 *
 *	key    00 00 00 03  00 00 00 00 00 00 00 07  64 65 70 2d 6c 69 62
 *	value  01  a2 01 00 00 00 00 00 00
 *
 * which LMDB stores as 8 bytes of checksum and the 9 bytes of the value.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#define META_NEXT_VIEW "next-view"

#define BLOB_VERSION 2
#define DEAD_VERSION 1
#define NAME_VERSION 1
#define VIEW_VERSION 1
#define NODE_VERSION 1
#define LIST_VERSION 1
#define UNIT_VERSION 1

/* As the kernel: NAME_MAX, and PATH_MAX without its NUL. */
#define NODE_NAME_MAX 255
#define NODE_TARGET_MAX 4095
/* All of one node's. The kernel allows lists of 64 KiB and values of 64 KiB;
 * ext4 holds 4 KiB. */
#define NODE_XATTRS_MAX (128 * 1024)
/* The largest value any table may hold. A damaged length is stopped by it
 * before the checksum reads that far. */
#define INDEX_VALUE_MAX (1024 * 1024)

#endif
