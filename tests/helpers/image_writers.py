"""Writers of image files, bit by bit: what they make is known without any reader, in kinds that no library writes."""

import struct
import zlib

import numpy as np

from helpers.image_files import chunk

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def packed_rows(values, bits):
    """Rows ``(H, n)`` of integers of `bits` bits, each row filled up to whole bytes."""
    if bits == 16:
        return values.astype(">u2").view("u1").reshape(len(values), -1)
    if bits == 8:
        return values.astype("u1")
    single = (values[..., np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(single.reshape(len(values), -1).astype(np.uint8), axis=1)


def any_png(values, colour_type, bits, *, interlaced=False, extra=b"", tail=b"", split=0, filters=False):
    """A PNG of any colour type (0, 2, 3, 4, 6) and bit depth.

    Args:
        values: ``(H, W, C)`` of integers in [0, 2 ** bits).
        extra: chunks before the data.
        split: bytes of each IDAT chunk; 0 = one.
        filters: uses all five row filters in turn (8 and 16 bits).
    """
    height, width, channels = values.shape
    step = max(1, channels * bits // 8)
    body = b""
    for left, top, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        part = values[top::down, left::across]
        if part.size:
            rows = packed_rows(part.reshape(len(part), -1), bits)
            body += _filtered(rows, step) if filters else b"".join(b"\0" + row.tobytes() for row in rows)
    data = zlib.compress(body)
    parts = [data[at : at + split] for at in range(0, len(data), split)] if split else [data]
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    chunks = chunk(b"IHDR", head) + extra + b"".join(chunk(b"IDAT", part) for part in parts) + tail
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b"")


def _filtered(rows, step):
    above, out = np.zeros(rows.shape[1], int), b""
    for index, row in enumerate(rows.astype(int)):
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[step:], corner[step:] = row[:-step], above[:-step]
        guess = left + above - corner
        far = np.abs(np.stack([guess - left, guess - above, guess - corner]))
        paeth = np.choose(far.argmin(axis=0), [left, above, corner])
        wanted = [np.zeros_like(row), left, above, (left + above) // 2, paeth][index % 5]
        out += bytes([index % 5]) + ((row - wanted) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def packbits(data):
    """Apple's run lengths, without runs."""
    return b"".join(bytes([len(data[at : at + 128]) - 1]) + data[at : at + 128] for at in range(0, len(data), 128))


PACK = {1: bytes, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}


def any_tiff(
    pages,
    *,
    photometric=None,
    bits=None,
    order="<",
    big=False,
    compression=1,
    rows=None,
    tile=None,
    planar=False,
    predictor=1,
    extra=None,
    orientation=1,
    colormap=None,
    subfile=(),
    tags=(),
):
    """A TIFF of one or more pages.

    Args:
        pages: arrays ``(H, W, C)``; unsigned integers or floats.
        bits: of integers, where fewer than the array's type has.
        rows: of a strip; tile: (height, width) of a tile.
        extra: meaning of the channels beyond the colours.
        subfile: NewSubfileType of each page.
        tags: further (tag, type, bytes) for all pages.
    """
    mark = b"II" if order == "<" else b"MM"
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    body, links = bytearray(head), len(head) - (8 if big else 4)
    for index, page in enumerate(pages):
        page = page if page.ndim == 3 else page[..., np.newaxis]
        strips = list(_parts(page, bits, order, compression, rows, tile, planar, predictor))
        offsets = []
        for strip in strips:
            offsets.append(len(body))
            body += strip + b"\0" * (len(strip) % 2)
        height, width, channels = page.shape
        depth = bits or page.dtype.itemsize * 8
        colour = photometric if photometric is not None else (2 if channels >= 3 else 1)
        fields = {256: (4, [width]), 257: (4, [height]), 258: (3, [depth] * channels), 259: (3, [compression])}
        fields |= {262: (3, [colour]), 274: (3, [orientation]), 277: (3, [channels]), 284: (3, [2 if planar else 1])}
        fields[339] = (3, [{"u": 1, "i": 2, "f": 3}[page.dtype.kind]] * channels)
        if tile:
            fields |= {322: (4, [tile[1]]), 323: (4, [tile[0]]), 324: (4, offsets), 325: (4, [len(s) for s in strips])}
        else:
            fields |= {273: (4, offsets), 278: (4, [rows or height]), 279: (4, [len(strip) for strip in strips])}
        if predictor != 1:
            fields[317] = (3, [predictor])
        if extra is not None:
            fields[338] = (3, [extra])
        if colormap is not None:
            fields[320] = (3, list(colormap))
        if index < len(subfile):
            fields[254] = (4, [subfile[index]])
        packed = {
            tag: (kind, np.asarray(v, order + ("u4" if kind == 4 else "u2")).tobytes())
            for tag, (kind, v) in fields.items()
        }
        packed |= {tag: (kind, data) for tag, kind, data in tags}
        where = len(body)
        struct.pack_into(order + ("Q" if big else "I"), body, links, where)
        directory, links = _directory(packed, where, order, big)
        body += directory
    return bytes(body)


def _directory(fields, where, order, big):
    entry, word = (20, 8) if big else (12, 4)
    behind = where + (8 if big else 2) + entry * len(fields) + word
    table, tail = struct.pack(order + ("Q" if big else "H"), len(fields)), b""
    for tag, (kind, data) in sorted(fields.items()):
        count = len(data) // {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}[kind]
        table += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, count)
        if len(data) <= word:
            table += data.ljust(word, b"\0")
        else:
            table += struct.pack(order + ("Q" if big else "I"), behind + len(tail))
            tail += data + b"\0" * (len(data) % 2)
    return table + b"\0" * word + tail, where + len(table)


def _parts(page, bits, order, compression, rows, tile, planar, predictor):
    height, width, channels = page.shape
    for plane in [page[..., [c]] for c in range(channels)] if planar else [page]:
        if tile:
            down, across = tile
            full = np.pad(plane, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
            for top in range(0, height, down):
                for left in range(0, width, across):
                    yield PACK[compression](
                        _stored(full[top : top + down, left : left + across], bits, order, predictor)
                    )
        else:
            for top in range(0, height, rows or height):
                yield PACK[compression](_stored(plane[top : top + (rows or height)], bits, order, predictor))


def _stored(block, bits, order, predictor):
    if bits is not None and bits < 8:
        return packed_rows(block.reshape(len(block), -1), bits).tobytes()
    if predictor == 2:
        whole = block.view(f"u{block.dtype.itemsize}")
        block = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], axis=1)
    if predictor == 3:
        high_first = np.ascontiguousarray(block).astype(block.dtype.newbyteorder(">")).view("u1")
        rows, channels = len(block), block.shape[2]
        planes = high_first.reshape(rows, -1, block.dtype.itemsize).swapaxes(1, 2).reshape(rows, -1)
        return np.concatenate([planes[:, :channels], planes[:, channels:] - planes[:, :-channels]], axis=1).tobytes()
    return block.astype(block.dtype.newbyteorder(order)).tobytes()


def bmp(rows, width, height, bits, *, header=40, palette=b"", masks=None, compression=0, top_down=False):
    """A BMP from its rows as stored (each a multiple of 4 bytes, or one run-length stream)."""
    data = b"".join(rows)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        info = struct.pack("<IiiHHIIiiII", header, width, signed, 1, bits, compression, len(data), 0, 0, 0, 0)
        info = info.ljust(header, b"\0")
        if masks is not None:
            packed = struct.pack(f"<{len(masks)}I", *masks)
            info = info + packed if header == 40 else info[:40] + packed + info[40 + len(packed) :]
        if header >= 108:
            info = info[:56] + b"BGRs" + info[60:]
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def bmp_rows(values, bits):
    """Rows ``(H, n)`` of integers, from the bottom up, filled up to multiples of 4 bytes."""
    rows = packed_rows(values, bits) if bits <= 8 else values.astype("<u2").view("u1").reshape(len(values), -1)
    return [row.tobytes() + b"\0" * (-len(row) % 4) for row in rows[::-1]]


def gif(frames, screen, palette, *, background=0, trailer=b";"):
    """A GIF of frames ``(left, top, indices (h, w), control or None, interlaced)`` with one palette ``(256, 3)``."""
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF7, background, 0) + palette.astype("u1").tobytes()
    for left, top, indices, control, interlaced in frames:
        if control is not None:  # (disposal, index that is transparent or None)
            disposal, key = control
            out += b"!\xf9\4" + struct.pack("<BHB", disposal << 2 | (key is not None), 10, key or 0) + b"\0"
        height, width = indices.shape
        out += b"," + struct.pack("<HHHHB", left, top, width, height, 0x40 if interlaced else 0) + b"\x08"
        if interlaced:
            indices = np.concatenate([indices[0::8], indices[4::8], indices[2::4], indices[1::2]])
        out += _uncompressed_lzw(indices) + b"\0"
    return out + trailer


def _uncompressed_lzw(indices):
    """Codes of 9 bits; the table is cleared before codes would get longer."""
    codes = []
    for at in range(0, indices.size, 250):
        codes += [256, *indices.ravel()[at : at + 250].tolist()]
    codes.append(257)
    single = (np.array(codes)[:, np.newaxis] >> np.arange(9)) & 1
    data = np.packbits(single.ravel().astype(np.uint8), bitorder="little").tobytes()
    return b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))
