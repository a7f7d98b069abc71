/**
 * The records of aliases: what may not be beside them, and a zone's records with those that its aliases answer with.
 */
import type { Report } from '../../config/diagnostics.ts';
import { canonical, formatName, nameKey } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { AliasAnswer, AliasModel, ServiceModel } from './model.ts';
import { addRecord, ownerOctets, ownerOf, recordType, type RecordStore } from './record-store.ts';
import { whereWritten } from './validate-report.ts';

/** An alias makes A and AAAA itself, and an owner with a CNAME has nothing else (RFC 2181 10.1). */
const EXCLUDED: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA, TYPE.CNAME]);

/** Reports addresses, CNAMEs and services at the owner of an alias. */
export function reportBesideAliases(
  aliases: readonly AliasModel[],
  services: readonly Pick<ServiceModel, 'owner' | 'name'>[],
  store: RecordStore,
  report: Report,
): void {
  if (aliases.length === 0) return;
  const byOwner = new Map(aliases.map((alias) => [nameKey(alias.owner), alias]));
  for (const { owner, name } of services) {
    const alias = byOwner.get(nameKey(owner));
    if (!alias) continue;
    const message = `${name} is a service, and has an ALIAS too`;
    report.error('PH451', message, alias.place, 'keep one of the two');
    byOwner.delete(nameKey(owner));
  }
  const lengths = new Set([...byOwner.values()].map(({ owner }) => owner.length));
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    if (!EXCLUDED.has(type) || !lengths.has(ownerOctets(store, row))) continue;
    const key = nameKey(ownerOf(store, row));
    const alias = byOwner.get(key);
    if (!alias) continue;
    byOwner.delete(key);
    const message = `${formatName(alias.owner)} has an ALIAS, which answers for A and AAAA, and ${typeText(type)} records too`;
    report.error('PH451', message, alias.place, `keep the ALIAS, or the records (${whereWritten(store, row)})`);
  }
}

/** A copy of the records, with those of the aliases behind them. */
export function withAliases(
  store: RecordStore,
  aliases: readonly AliasModel[],
  answers: readonly AliasAnswer[],
): RecordStore {
  const all: RecordStore = {
    ...store,
    bytes: store.bytes.slice(),
    ownerAt: store.ownerAt.slice(),
    ownerOctets: store.ownerOctets.slice(),
    type: store.type.slice(),
    ttlSeconds: store.ttlSeconds.slice(),
    rdataAt: store.rdataAt.slice(),
    rdataOctets: store.rdataOctets.slice(),
    file: store.file.slice(),
    line: store.line.slice(),
    files: store.files.slice(),
  };
  for (const [index, { owner, place }] of aliases.entries()) {
    const answer = answers[index];
    if (answer?.kind !== 'records') continue;
    for (const { type, ttlSeconds, data } of answer.sets) {
      for (const each of data) addRecord(all, canonical(owner), type, ttlSeconds, each, 0, place.line ?? 1);
    }
  }
  return all;
}
