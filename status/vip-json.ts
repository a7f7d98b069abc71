/**
 * The VIPs as JSON, which is nearly all of what dashboards are sent. Nothing is written anew that is still as it was: of
 * each VIP the octets are kept, without the numbers of answers, until something of it changes. So what is sent is always
 * that of this moment.
 */
import type { VipHealth } from '../health/engine.ts';
import type { VipInfo } from '../zones/catalog.ts';
import { inTurns, type Octets } from './assemble-reply.ts';
import { vipDocument, type VipState } from './vips.ts';

/** What was written of a VIP, and what it was made of. Both go with the generation, whose VIPs are the keys. */
type Kept = { readonly health: VipHealth | undefined; readonly octets: Uint8Array };
const kept = new WeakMap<VipInfo, Kept>();

/** Adds what `JSON.stringify(states.map(vipDocument))` comes to. */
export async function writeVips(states: readonly VipState[], octets: Octets): Promise<void> {
  let before = '[';
  await inTurns(states, (state) => {
    octets.text(before);
    octets.add(octetsOf(state));
    octets.text(`${state.served},"served_last_minute":${state.servedLately}`);
    before = '},';
  });
  octets.text(states.length === 0 ? '[]' : '}]');
}

/** A document up to its last members, `served` and `served_last_minute`, whose values are left out. */
function octetsOf(state: VipState): Uint8Array {
  const { info, health } = state;
  const last = kept.get(info);
  if (last !== undefined && isSame(last.health, health)) return last.octets;
  const octets = Buffer.from(
    JSON.stringify(vipDocument({ ...state, served: 0, servedLately: 0 })).slice(0, -'0,"served_last_minute":0}'.length),
  );
  kept.set(info, { health, octets });
  return octets;
}

/**
 * Every member of VipHealth, so that one which is added to it does not compile until it is decided here: whether it is
 * settled for as long as the generation has the VIP, or changes. A loop over comparisons by member would take several
 * times as long as isSame does.
 */
export const VIP_MEMBERS = {
  slot: 'settled',
  target: 'settled',
  region: 'settled',
  checked: 'settled',
  check: 'changes',
  address: 'changes',
  probed: 'changes',
  effective: 'changes',
  last: 'changes',
  since: 'changes',
  heldUntil: 'changes',
  run: 'changes',
  override: 'changes',
  weight: 'changes',
  fileWeight: 'changes',
  weightOverride: 'changes',
  ramp: 'changes',
  load: 'changes',
  shed: 'changes',
} as const satisfies Readonly<Record<keyof VipHealth, 'settled' | 'changes'>>;

/** Whether all that changes says the same in both; false where that would take long to see. */
function isSame(a: VipHealth | undefined, b: VipHealth | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.last === b.last &&
    a.probed === b.probed &&
    a.effective === b.effective &&
    a.since === b.since &&
    a.heldUntil === b.heldUntil &&
    a.run?.results === b.run?.results &&
    a.run?.passed === b.run?.passed &&
    a.weight === b.weight &&
    a.fileWeight === b.fileWeight &&
    a.weightOverride === b.weightOverride &&
    a.ramp === b.ramp &&
    a.load === b.load &&
    a.shed === b.shed &&
    // When it is safe to stop may be another at every moment.
    a.override === undefined &&
    b.override === undefined &&
    a.check?.name === b.check?.name &&
    a.check?.kind === b.check?.kind &&
    a.address === b.address
  );
}
