/**
 * Writes the bundled country database with the schema that gdnsd and Knot read (`continent.code`, `country.iso_code`),
 * so that every server steers by the same data. The tree stays the same, octet by octet; only the data after it is
 * rewritten, and the records that point there are adjusted (MaxMind DB File Format 2.0).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Reader, type Response } from 'maxmind';
import { continentOf } from '../geo/countries.ts';
import { CONTINENT_CODES } from './world.ts';

const SEPARATOR_OCTETS = 16;
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');

/** Numbers are written as `[type, value]` with that type, because libmaxminddb checks types strictly. */
type Value = string | readonly [number, number] | readonly string[] | { readonly [key: string]: Value };

const UINT16 = 5;
const UINT32 = 6;
const UINT64 = 9;

/** Writes the nested database to `path`. Throws if `source` does not have the flat form `{ country_code }`. */
export function writeGeoip2(source: string, path: string): void {
  const bytes = readFileSync(source);
  const reader = new Reader<Response>(bytes);
  const { nodeCount, recordSize, ipVersion } = reader.metadata;
  const nodeOctets = recordSize / 4;
  const treeOctets = nodeCount * nodeOctets;
  const tree = Buffer.from(bytes.subarray(0, treeOctets));

  const data: Buffer[] = [];
  let dataOctets = 0;
  const moved = new Map<number, number>();
  /** The position in the new file of the data to which a record with `pointer` points. */
  const move = (pointer: number): number => {
    let to = moved.get(pointer);
    if (to === undefined) {
      const country = countryAt(bytes, treeOctets + pointer - nodeCount);
      const continent = continentOf(country);
      const encoded = encode({
        ...(continent === '' ? {} : { continent: { code: CONTINENT_CODES[continent] } }),
        country: { iso_code: country },
      });
      to = nodeCount + SEPARATOR_OCTETS + dataOctets;
      moved.set(pointer, to);
      data.push(encoded);
      dataOctets += encoded.length;
    }
    return to;
  };
  if (recordSize !== 24) throw new Error(`the bundled database has records of ${recordSize} bits, 24 are handled`);
  for (let at = 0; at < treeOctets; at += 3) {
    const record = tree.readUIntBE(at, 3);
    if (record > nodeCount) tree.writeUIntBE(move(record), at, 3);
  }
  const metadata = encode({
    binary_format_major_version: [UINT16, 2],
    binary_format_minor_version: [UINT16, 0],
    build_epoch: [UINT64, Math.floor(reader.metadata.buildEpoch.getTime() / 1000)],
    database_type: 'GeoIP2-Country',
    description: { en: 'the bundled country database, nested' },
    languages: ['en'],
    ip_version: [UINT16, ipVersion],
    node_count: [UINT32, nodeCount],
    record_size: [UINT16, recordSize],
  });
  writeFileSync(path, Buffer.concat([tree, Buffer.alloc(SEPARATOR_OCTETS), ...data, MARKER, metadata]));
}

/** The country of the map `{ country_code: "KR" }` at `at`: control 0xe1, text of 12, text of 2. */
function countryAt(bytes: Buffer, at: number): string {
  const country = /^\xe1(?:\x4ccountry_code|[\x20-\x27].)\x42([A-Z]{2})/su.exec(
    bytes.toString('latin1', at, at + 20),
  )?.[1];
  if (country === undefined) throw new Error(`the bundled database has another form at octet ${at}`);
  return country;
}

/** Types: 2 text, 7 map, 11 array, and the number types, which are written in four or two octets. */
function encode(value: Value): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  if (isNumber(value)) {
    const [type, number] = value;
    const octets = Buffer.alloc(4);
    octets.writeUInt32BE(number);
    return type === UINT16
      ? Buffer.concat([control(type, 2), octets.subarray(2)])
      : Buffer.concat([control(type, 4), octets]);
  }
  const entries = Object.entries(value);
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, item]) => [encode(key), encode(item)])]);
}

function isArray(value: Value): value is readonly string[] {
  return Array.isArray(value) && typeof value[0] === 'string';
}

function isNumber(value: Value): value is readonly [number, number] {
  return Array.isArray(value) && typeof value[0] === 'number';
}

/** Sizes up to 284; a type above 7 takes an octet more. */
function control(type: number, size: number): Buffer {
  const first = type > 7 ? 0 : type << 5;
  const extended = type > 7 ? [type - 7] : [];
  return Buffer.from(size < 29 ? [first | size, ...extended] : [first | 29, ...extended, size - 29]);
}
