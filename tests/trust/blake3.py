"""BLAKE3 (32 bytes, no key) in plain Python, from its specification: so that hostile files can carry a checksum that fits."""

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
START, END, PARENT, ROOT = 1, 2, 4, 8
MASK = 0xFFFFFFFF


def mix(v, a, b, c, d, x, y):
    for word, far, near in ((x, 16, 12), (y, 8, 7)):
        v[a] = (v[a] + v[b] + word) & MASK
        v[d] ^= v[a]
        v[d] = (v[d] >> far | v[d] << 32 - far) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] ^= v[c]
        v[b] = (v[b] >> near | v[b] << 32 - near) & MASK


def compress(chain, block, counter, length, flags):
    v = list(chain) + list(IV[:4]) + [counter & MASK, counter >> 32, length, flags]
    m = [int.from_bytes(block[at:at + 4], "little") for at in range(0, 64, 4)]
    for turn in range(7):
        for place, (a, b, c, d) in enumerate([(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                                              (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]):
            mix(v, a, b, c, d, m[2 * place], m[2 * place + 1])
        m = [m[place] for place in ORDER]
    return [v[place] ^ v[place + 8] for place in range(8)]


def chunk(data, counter, flags=0):
    chain = IV
    blocks = [data[at:at + 64] for at in range(0, len(data), 64)] or [b""]
    for place, block in enumerate(blocks):
        kind = (START if place == 0 else 0) | (END | flags if place == len(blocks) - 1 else 0)
        chain = compress(chain, block.ljust(64, b"\0"), counter, len(block), kind)
    return chain


def words(chain):
    return b"".join(word.to_bytes(4, "little") for word in chain)


def tree(data, counter, flags=0):
    if len(data) <= 1024:
        return chunk(data, counter, flags)
    chunks = (len(data) + 1023) // 1024
    left = 1 << (chunks - 1).bit_length() - 1
    one, other = tree(data[:left * 1024], counter), tree(data[left * 1024:], counter + left)
    return compress(IV, words(one) + words(other), 0, 64, PARENT | flags)


def blake3(data):
    return words(tree(data, 0, ROOT)).hex()


assert blake3(b"abc") == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
