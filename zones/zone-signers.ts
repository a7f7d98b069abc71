/**
 * Creates the signers of the zones of one load: makes missing keys, and reports why a zone cannot be signed.
 */
import type { CacheFolders } from '../config/cache-entry.ts';
import type { Report } from '../config/diagnostics.ts';
import { messageOf } from '../config/unknown-values.ts';
import { makeKey, readKeys } from '../dnssec/key-files.ts';
import { activeKeys, createZoneSigner, type SigningState, type ZoneSigner } from '../dnssec/zone-signer.ts';
import { formatName } from '../wire/name.ts';
import { soaExpire } from '../wire/rdata.ts';
import type { ZoneModel } from './read/model.ts';
import { findSoaRow, rdataOf } from './read/record-store.ts';

export type SignersOptions = {
  readonly cache: CacheFolders;
  readonly nowSeconds: number;
  /** Whether a zone without keys gets one: only a server makes keys. */
  readonly makesKeys: boolean;
  /** Whether this node is part of a fleet, whose nodes do not make keys. */
  readonly hasFleet: boolean;
  readonly report: Report;
};

/** `before` is the zone's signing state in the previous load. Returns undefined if the zone is not signed. */
export function signerOf(
  { signing, apex, file, records }: ZoneModel,
  before: SigningState | undefined,
  { cache, nowSeconds, makesKeys, hasFleet, report }: SignersOptions,
): ZoneSigner | undefined {
  if (!signing) return undefined;
  const { rule } = signing;
  const zone = formatName(apex);
  let { keys } = signing;
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
    } catch (error) {
      const message = `the key of ${zone} cannot be written: ${messageOf(error)}`;
      report.error('PH390', message, { file: rule.keys }, 'make the folder writable for the user of the server');
      return undefined;
    }
  }
  if (activeKeys(keys, nowSeconds).length === 0) {
    const hint = 'see Activate and Inactive in the .private files';
    report.error('PH392', `${zone} has keys, but none signs at this time`, { file: rule.keys }, hint);
    return undefined;
  }
  const signer = createZoneSigner({ apex, rule, keys, before, cache, nowSeconds, isShared: hasFleet });
  if (signer.isClockBehind) {
    const message = `the clock is behind the signatures of ${zone}: they stay as they are`;
    report.warning('PH393', message, { file }, 'set the clock of this machine');
  }
  const row = findSoaRow(records);
  const expire = row < 0 ? 0 : soaExpire(rdataOf(records, row));
  if (rule.lifetimeSeconds * 0.9 - rule.refreshSeconds < expire) {
    const message = `signatures of ${zone} may end before secondaries that cannot transfer stop serving it (SOA expire ${expire} s)`;
    report.warning('PH395', message, { file }, 'lower expire of soa, or raise lifetime of dnssec');
  }
  return signer;
}
