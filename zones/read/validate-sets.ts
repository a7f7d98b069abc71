/**
 * Checks RRsets for duplicates and different TTLs, with hash tables over the records of owners that have several.
 */
import { get8 } from '../../wire/octets.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { nodeOfRow, type NameTable } from './name-table.ts';
import { rdataOctets, rdataStart, type RecordStore, recordTtl, recordType } from './record-store.ts';
import type { Findings } from './validate-report.ts';

/**
 * Reports records that repeat an earlier one (PH342), second SOA (PH343), CNAME and DNAME (PH344) records, and TTLs
 * that differ within an RRset (PH345).
 */
export function checkSets(store: RecordStore, table: NameTable, findings: Findings): void {
  const rowsOf = new Uint32Array(table.count);
  let shared = 0;
  for (let row = 0; row < store.count; row++) {
    const node = nodeOfRow(table, row);
    const rows = (rowsOf[node] ?? 0) + 1;
    rowsOf[node] = rows;
    if (rows > 1) shared += rows === 2 ? 2 : 1;
  }
  if (shared === 0) return;
  const size = 2 ** Math.ceil(Math.log2(shared * 2));
  const sets = new Uint32Array(size); // row + 1, by owner and type
  const records = new Uint32Array(size); // row + 1, by owner, type and rdata
  for (let row = 0; row < store.count; row++) {
    const node = nodeOfRow(table, row);
    if ((rowsOf[node] ?? 0) < 2) continue;
    const type = recordType(store, row);
    const setHash = Math.imul(Math.imul(node + 1, 0x9e37_79b1) ^ type, 0x85eb_ca6b);
    const first = findRow(sets, setHash ^ (setHash >>> 13), row, (other) => sameSet(store, table, row, other));
    if (first < 0) continue; // the first of its RRset
    const twin = findTwin(store, table, records, setHash, first, row);
    if (twin >= 0) {
      const message = `the same ${typeText(type)} record is at ${findings.where(twin)}: this one is dropped`;
      findings.row('warning', 'PH342', row, message, 'remove one of the two');
    } else if (type === TYPE.CNAME || type === TYPE.DNAME || type === TYPE.SOA) {
      const code = type === TYPE.SOA ? 'PH343' : 'PH344';
      const message = `${findings.ownerText(row)} has a second ${typeText(type)}; the first is at ${findings.where(first)}`;
      findings.row('error', code, row, message, `keep one ${typeText(type)}`);
    }
    if (store.ttlSeconds[row] !== store.ttlSeconds[first]) {
      const [kept, got] = [recordTtl(store, first), recordTtl(store, row)];
      const message = `TTL ${got} differs from ${kept} of the first ${typeText(type)} record at ${findings.where(first)}`;
      findings.row('warning', 'PH345', row, `${message}: all of them get ${kept}`, 'RFC 2181 5.2: one TTL for all');
    }
  }
}

function sameSet(store: RecordStore, table: NameTable, a: number, b: number): boolean {
  return table.nodeOf[a] === table.nodeOf[b] && store.type[a] === store.type[b];
}

/** The earlier record with the same owner, type and rdata, or -1; then `row` is entered. */
function findTwin(
  store: RecordStore,
  table: NameTable,
  records: Uint32Array,
  setHash: number,
  first: number,
  row: number,
): number {
  const same = (a: number, b: number): boolean => sameSet(store, table, a, b) && sameRdata(store, a, b);
  // The first record of an RRset is entered with the second, because most RRsets have one record.
  findRow(records, hashRdata(store, first, setHash), first, (other) => same(first, other));
  return findRow(records, hashRdata(store, row, setHash), row, (other) => same(row, other));
}

/**
 * Returns the row in `slots` for which `same` holds. If there is none, enters `row` in the free slot and returns -1.
 */
function findRow(slots: Uint32Array, hash: number, row: number, same: (other: number) => boolean): number {
  const mask = slots.length - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const found = slots[slot] ?? 0;
    if (found === 0) {
      slots[slot] = row + 1;
      return -1;
    }
    if (same(found - 1)) return found - 1;
  }
}

function hashRdata(store: RecordStore, row: number, seed: number): number {
  const at = rdataStart(store, row);
  const end = at + rdataOctets(store, row);
  let hash = seed;
  for (let i = at; i < end; i++) hash = Math.imul(hash ^ get8(store.bytes, i), 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
  return hash ^ (hash >>> 12);
}

function sameRdata(store: RecordStore, a: number, b: number): boolean {
  const octets = rdataOctets(store, a);
  if (octets !== store.rdataOctets[b]) return false;
  const aAt = rdataStart(store, a);
  const bAt = rdataStart(store, b);
  for (let i = 0; i < octets; i++) if (store.bytes[aAt + i] !== store.bytes[bAt + i]) return false;
  return true;
}
