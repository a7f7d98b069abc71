/**
 * The catalog zone (`transfer.catalog`, RFC 9432): it lists all other zones, so that secondaries find them.
 */
import { createHash } from 'node:crypto';
import type { Settings } from '../../config/settings.ts';
import { canonical, nameKey, type Name } from '../../wire/name.ts';
import { parseRdataText } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import type { ZoneModel } from './model.ts';
import { addFile, addRecord, createRecordStore } from './record-store.ts';

/** RFC 9432 3: nobody resolves these names. */
const NOBODY = 'invalid.';
/** The values of RFC 9432 appendix A: secondaries are notified, and never stop serving the members. */
const SOA_TIMES = '3600 600 2147483646 0';
/** Digits of a member's label: it must be unique, and stay the same while the zone is a member. */
const LABEL_DIGITS = 32;

/** @param members the apexes of the other zones */
export function catalogZone(
  file: string,
  { name: apex, place }: NonNullable<Settings['transfer']['catalog']>,
  members: readonly Name[],
): ZoneModel {
  const store = createRecordStore();
  const from = addFile(store, file);
  const below = (labels: string): Name =>
    Uint8Array.from([...labels.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]), ...apex]);
  const add = (owner: Name, type: number, data: string): void => {
    addRecord(store, owner, type, 0, parseRdataText(type, data, apex), from, place.line ?? 1);
  };
  add(apex, TYPE.SOA, `${NOBODY} ${NOBODY} 0 ${SOA_TIMES}`);
  add(apex, TYPE.NS, NOBODY);
  add(below('version'), TYPE.TXT, '"2"');
  const sorted = members.map((member) => ({ member: canonical(member), key: nameKey(member) }));
  sorted.sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const { member, key } of sorted) {
    const label = createHash('sha256').update(key, 'latin1').digest('hex').slice(0, LABEL_DIGITS);
    addRecord(store, below(`${label}.zones`), TYPE.PTR, 0, member, from, place.line ?? 1);
  }
  return {
    file,
    apex,
    records: store,
    owners: undefined,
    autoSerial: true,
    services: [],
    signing: undefined,
    regions: new Map(),
    files: [file],
  };
}
