/* SPDX-License-Identifier: MIT */
/*
 * The two ways to the records of a batch that do not go through memory as it lies there: unpacking,
 * and reading a large batch in pieces. Input: how many records there should be, which values are
 * long, then bytes, which are taken for each kind of compression, and for records. Unpacking keeps
 * its limit; pieces are what the decoder in memory finds in the same bytes, to the first fault.
 */
#include <string.h>

#include "base/codec.h"
#include "disk/disk.h"
#include "fuzz.h"
#include "log/pieces.h"
#include "log/unpack.h"

enum { LIMIT = 1 << 20 };

static void check_codec(unsigned codec, const uint8_t *bytes, size_t size)
{
    struct buffer to = {0};
    int rc = codec_unpack(codec, bytes, size, LIMIT, &to);
    require(rc == 0 || rc == FIRN_EDAMAGED || rc == FIRN_ETOOBIG || rc == FIRN_ENOTSUP ||
                rc == FIRN_ENOMEM,
            "an error that unpacking has");
    require(rc != 0 || to.size <= LIMIT, "what is unpacked keeps the limit");
    require((rc == FIRN_ENOTSUP) == !codec_can_unpack(codec), "what is there is used");
    buffer_free(&to);
}

static bool same(const struct firn_slice *a, const struct firn_slice *b)
{
    return a->size == b->size && !a->data == !b->data &&
           (!a->data || memcmp(a->data, b->data, a->size) == 0);
}

static void check_record(const struct pieces *pieces, const struct firn_record *found,
                         const struct firn_record *should, const uint8_t *bytes)
{
    bool is_long = should->value.size > pieces->value_most;
    require(found->index == should->index && found->timestamp == should->timestamp,
            "index and time");
    require(found->header_count == should->header_count, "headers");
    require(same(&found->key, &should->key), "the key");
    require(is_long ? found->value.data == NULL && found->value.size == should->value.size
                    : same(&found->value, &should->value),
            "the value, or its size");
    require(!is_long || bytes + pieces->value_position == (const uint8_t *)should->value.data,
            "where a long value lies");
}

static void check_pieces(struct firn_file *file, const struct bytes *bytes,
                         const struct batch *batch, uint64_t value_most)
{
    struct pieces pieces = {0};
    struct record_iterator it;
    struct firn_record found, should;
    const uint8_t *headers, *headers_should;
    int rc = 0;
    record_iterate(&it, bytes->data, batch);
    pieces_start(&pieces, file, 0, batch, value_most);
    while (rc == 0) {
        rc = record_next(&it, &should, &headers_should);
        int got = pieces_next(&pieces, &found, &headers, NULL);
        require(got == rc, "both see the same");
        if (rc == 0)
            check_record(&pieces, &found, &should, bytes->data);
        if (rc == 0)
            require(pieces.it.at - headers == it.at - headers_should &&
                        memcmp(headers, headers_should, (size_t)(it.at - headers_should)) == 0,
                    "the bytes of the headers");
    }
    pieces_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct batch batch = {.count = input_u8(&in), .producer_id = -1};
    uint64_t value_most = input_u8(&in);
    struct firn_disk *disk = memory_disk();
    struct firn_file *file;
    struct bytes bytes = {must_alloc(BATCH_HEADER + in.left), BATCH_HEADER + in.left};
    for (unsigned codec = 1; codec < 8; codec++)
        check_codec(codec, in.at, in.left);
    if (in.left)
        memcpy(bytes.data + BATCH_HEADER, in.at, in.left);
    batch.last_delta = batch.count * 4;
    batch_seal(&batch, bytes.data + BATCH_HEADER, in.left, bytes.data);
    put_file(disk, "batch", bytes.data, bytes.size);
    require(disk_open(disk, "batch", FIRN_OPEN_READ, &file, NULL) == 0, "the file is there");
    if (batch_check(bytes.data, bytes.size, &batch) == BATCH_OK)
        check_pieces(file, &bytes, &batch, value_most);
    disk_close(file);
    firn_disk_free(disk);
    bytes_done(&bytes);
    return 0;
}
