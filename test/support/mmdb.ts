/**
 * Writes small mmdb files for tests, by the MaxMind DB File Format 2.0: any record size, IPv4 or IPv6 trees, aliases,
 * any data. Slow and simple.
 */
import { bitAt, parsePrefix } from '../../wire/address.ts';

export type MmdbValue =
  string | number | bigint | boolean | readonly MmdbValue[] | { readonly [key: string]: MmdbValue };

export type MmdbOptions = {
  readonly recordBits?: 24 | 28 | 32;
  readonly ipVersion?: 4 | 6;
  readonly type?: string;
  /** Seconds since 1970. */
  readonly builtAt?: number;
  /** Prefixes in the IPv6 tree that lead to the IPv4 part, as MaxMind's files have it. */
  readonly aliases?: readonly string[];
  readonly majorVersion?: number;
};

type Node = { children: [Child, Child] };
type Child = Node | { data: MmdbValue } | undefined;

const DEFAULT_ALIASES = ['::ffff:0:0/96', '2002::/16', '2001::/32'];

/** An mmdb file with these networks, in the order given: a later one overrides what it covers. */
export function writeMmdb(networks: readonly (readonly [string, MmdbValue])[], options: MmdbOptions = {}): Buffer {
  const { recordBits = 24, ipVersion = 6, aliases = DEFAULT_ALIASES } = options;
  const root: Node = { children: [undefined, undefined] };
  for (const [text, data] of networks) insert(root, path(text, ipVersion), { data });
  if (ipVersion === 6) {
    const v4 = nodeAt(root, '0'.repeat(96));
    if (v4) for (const alias of aliases) insert(root, path(alias, 6), v4);
  }
  const nodes: Node[] = [];
  const numbers = new Map<Node, number>();
  const number = (node: Node): void => {
    if (numbers.has(node)) return;
    numbers.set(node, nodes.push(node) - 1);
    for (const child of node.children) if (child && 'children' in child) number(child);
  };
  number(root);

  const data: Buffer[] = [];
  let dataLength = 0;
  const offsets = new Map<string, number>();
  const offsetOf = (value: MmdbValue): number => {
    const bytes = encode(value);
    const key = bytes.toString('latin1');
    let offset = offsets.get(key);
    if (offset === undefined) {
      offset = dataLength;
      offsets.set(key, offset);
      data.push(bytes);
      dataLength += bytes.length;
    }
    return offset;
  };
  const record = (child: Child): number => {
    if (!child) return nodes.length;
    return 'data' in child ? nodes.length + 16 + offsetOf(child.data) : (numbers.get(child) ?? 0);
  };
  const tree = nodes.map((node) => writeNode(record(node.children[0]), record(node.children[1]), recordBits));
  const metadata = encode({
    binary_format_major_version: options.majorVersion ?? 2,
    binary_format_minor_version: 0,
    build_epoch: BigInt(options.builtAt ?? 1_780_000_000),
    database_type: options.type ?? 'Test-City',
    description: { en: 'test data' },
    ip_version: ipVersion,
    languages: ['en'],
    node_count: nodes.length,
    record_size: recordBits,
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([...tree, Buffer.alloc(16), ...data, marker, metadata]);
}

function path(text: string, ipVersion: 4 | 6): string {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`${text} is not a network`);
  const bits = Array.from({ length: prefix.bits }, (_, bit) => bitAt(prefix.bytes, bit)).join('');
  return ipVersion === 6 && prefix.bytes.length === 4 ? '0'.repeat(96) + bits : bits;
}

function insert(root: Node, bits: string, leaf: Child): void {
  let node = root;
  for (let depth = 0; depth < bits.length - 1; depth++) {
    const side = bits[depth] === '1' ? 1 : 0;
    let child = node.children[side];
    if (!child || 'data' in child) {
      // A broader network that is divided keeps its data on both sides.
      child = { children: [child, child] };
      node.children[side] = child;
    }
    node = child;
  }
  node.children[bits.endsWith('1') ? 1 : 0] = leaf;
}

function nodeAt(root: Node, bits: string): Node | undefined {
  let node: Child = root;
  for (const bit of bits) node = node && 'children' in node ? node.children[bit === '1' ? 1 : 0] : undefined;
  return node && 'children' in node ? node : undefined;
}

function writeNode(left: number, right: number, recordBits: number): Buffer {
  const out = Buffer.alloc(recordBits / 4);
  if (recordBits === 32) {
    out.writeUInt32BE(left, 0);
    out.writeUInt32BE(right, 4);
    return out;
  }
  out.writeUIntBE(left & 0xff_ffff, 0, 3);
  out.writeUIntBE(right & 0xff_ffff, recordBits / 4 - 3, 3);
  if (recordBits === 28) out[3] = ((left >>> 24) << 4) | (right >>> 24);
  return out;
}

/** Types: 2 text, 3 double, 6 uint32, 7 map, 9 uint64, 11 array, 14 boolean. */
function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    return Buffer.concat([control(2, text.length), text]);
  }
  if (typeof value === 'boolean') return control(14, value ? 1 : 0);
  if (typeof value === 'bigint') {
    const out = Buffer.alloc(8);
    out.writeBigUInt64BE(value);
    return Buffer.concat([control(9, 8), out]);
  }
  if (typeof value === 'number') {
    const whole = Number.isInteger(value) && value >= 0;
    const out = Buffer.alloc(whole ? 4 : 8);
    if (whole) out.writeUInt32BE(value);
    else out.writeDoubleBE(value);
    return Buffer.concat([control(whole ? 6 : 3, out.length), out]);
  }
  if (isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, item]) => [encode(key), encode(item)])]);
}

function isArray(value: MmdbValue): value is readonly MmdbValue[] {
  return Array.isArray(value);
}

function control(type: number, size: number): Buffer {
  const extra = size < 29 ? [] : size < 285 ? [size - 29] : [(size - 285) >> 8, (size - 285) & 0xff];
  const first = size < 29 ? size : size < 285 ? 29 : 30;
  return Buffer.from(type > 7 ? [first, type - 7, ...extra] : [(type << 5) | first, ...extra]);
}
