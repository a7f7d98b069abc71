/**
 * Creates the signers of the zones of one load: makes missing keys, and reports why a zone cannot be signed.
 */
import type { CacheFolders } from '../config/cache-entry.ts';
import type { Report } from '../config/diagnostics.ts';
import { messageOf } from '../config/unknown-values.ts';
import { dsData } from '../dnssec/dnskey.ts';
import { makeKey, readKeys } from '../dnssec/key-files.ts';
import { rolesOf } from '../dnssec/key-times.ts';
import { createZoneSigner, entryWords, type SigningState, type ZoneSigner } from '../dnssec/zone-signer.ts';
import { formatName, nameKey } from '../wire/name.ts';
import { formatRdata, soaExpire } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import type { ZoneModel } from './read/model.ts';
import { findSoaRow, rdataOf } from './read/record-store.ts';

export type SignersOptions = {
  readonly cache: CacheFolders;
  readonly nowSeconds: number;
  /** Whether a zone without keys gets one: only a server makes keys. */
  readonly makesKeys: boolean;
  /** Whether this node is part of a fleet, whose nodes do not make keys. */
  readonly hasFleet: boolean;
  /** Whether anybody may transfer zones: only then can a secondary keep signatures that end. */
  readonly hasSecondaries: boolean;
  /** By `nameKey` of the apex: the digest of the keys on which all nodes agree. */
  readonly agreedKeys: ReadonlyMap<string, string> | undefined;
  /** By `nameKey` of the apex: the keys of the last load, or of the last run, if the zone was signed. */
  readonly signedBefore: (zone: string) => readonly string[] | undefined;
  readonly report: Report;
};

/** `state` is the zone's signing state in the previous load. Returns undefined if the zone is not signed. */
export function signerOf(
  { signing, apex, file, records }: ZoneModel,
  state: SigningState | undefined,
  options: SignersOptions,
): ZoneSigner | undefined {
  if (!signing) return undefined;
  const { cache, nowSeconds, makesKeys, hasFleet, agreedKeys: agreed, signedBefore, report } = options;
  const { rule } = signing;
  const zone = formatName(apex);
  let { keys } = signing;
  const before = signedBefore(nameKey(apex)) ?? [];
  // An update reads no files: the key may have been made after they were read.
  if (keys.length === 0 && before.length > 0) ({ keys } = readKeys(rule.keys, apex));
  if (before.length > 0 && !entryWords(keys).some((each) => before.includes(each))) {
    // With other keys, or unsigned, the zone would be bogus while the parent has the DS of these keys.
    const message = `the keys that signed ${zone} are missing: ${before.map((each) => each.replace(/^.*\//, '')).join(', ')}`; // prettier-ignore
    report.error('PH369', message, { file: rule.keys }, 'restore their files; if they are lost, see docs/dnssec.md');
    return undefined;
  }
  if (keys.length === 0 && hasFleet) {
    const hint = 'make one with dnssec-keygen -f KSK -a ECDSAP256SHA256, and give the same files to every node';
    report.error('PH397', `${zone} has no key: the nodes of a fleet do not make keys`, { file: rule.keys }, hint);
    return undefined;
  }
  if (keys.length === 0 && !makesKeys) {
    const message = `${zone} has no key yet: the server makes one when it starts`;
    report.warning('PH391', message, { file }, 'then give the DS to the parent: pharos dnssec ds');
    return undefined;
  }
  if (keys.length === 0) {
    try {
      makeKey(rule.keys, apex, nowSeconds);
      ({ keys } = readKeys(rule.keys, apex));
      const ds = keys.map(({ dnskey }) => formatRdata(TYPE.DS, dsData(apex, dnskey))).join(', ');
      const hint = 'if the parent has another DS, restore the old keys: validating resolvers reject this key';
      report.warning('PH368', `${zone} has a new key. Its DS for the parent: ${ds}`, { file: rule.keys }, hint);
    } catch (error) {
      const message = `the key of ${zone} cannot be written: ${messageOf(error)}`;
      report.error('PH390', message, { file: rule.keys }, 'make the folder writable for the user of the server');
      return undefined;
    }
  }
  if (rolesOf(keys, nowSeconds).forKeys.length === 0) {
    const hint = 'see Activate and Inactive in the .private files, and whether the clock of this machine is right';
    report.error('PH392', `${zone} has keys, but none signs at this time`, { file: rule.keys }, hint);
    return undefined;
  }
  const agreedKeys = agreed?.get(nameKey(apex));
  const signer = createZoneSigner({
    apex,
    rule,
    keys,
    before: state,
    cache,
    nowSeconds,
    isShared: hasFleet,
    agreedKeys,
  });
  if (signer.isClockBehind) {
    const message = `the clock is behind the signatures of ${zone}: they stay as they are`;
    report.warning('PH393', message, { file }, 'set the clock of this machine');
  }
  const row = findSoaRow(records);
  const expire = row < 0 ? 0 : soaExpire(rdataOf(records, row));
  if (options.hasSecondaries && rule.lifetimeSeconds * 0.9 - rule.refreshSeconds < expire) {
    const message = `signatures of ${zone} may end before secondaries that cannot transfer stop serving it (SOA expire ${expire} s)`;
    report.warning('PH395', message, { file }, 'lower expire of soa, or raise lifetime of dnssec');
  }
  return signer;
}
