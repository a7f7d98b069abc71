/**
 * The VIPs as JSON, the largest part of most replies to dashboards. The octets of each VIP are kept until its health
 * changes. The counts of answers change all the time, so they are written for each reply. Replies are therefore always
 * current.
 */
import type { VipHealth } from '../health/engine.ts';
import type { VipInfo } from '../zones/catalog.ts';
import { inTurns, type Octets } from './assemble-reply.ts';
import { isSameHealth, vipDocument } from './vip-fields.ts';
import type { VipState } from './vips.ts';

/** The octets of a VIP and what they show. The keys are the VIPs of a generation; their entries are freed with it. */
type Kept = Pick<VipState, 'dissent' | 'effective' | 'available'> & {
  readonly health: VipHealth | undefined;
  readonly octets: Uint8Array;
};
const kept = new WeakMap<VipInfo, Kept>();

/** Adds the text of `JSON.stringify(states.map(vipDocument))`. */
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

/** A document up to the value of `served`; the caller writes that and the last member, `served_last_minute`. */
function octetsOf(state: VipState): Uint8Array {
  const { info, health, dissent, effective, available } = state;
  const last = kept.get(info);
  // If the VIP is a service, it can come and go while its own health stays the same.
  if (last !== undefined && last.effective === effective && last.available === available) {
    if (last.dissent === dissent && isSameHealth(last.health, health)) return last.octets;
  }
  const octets = Buffer.from(
    JSON.stringify(vipDocument({ ...state, served: 0, servedLately: 0 })).slice(0, -'0,"served_last_minute":0}'.length),
  );
  kept.set(info, { health, dissent, effective, available, octets });
  return octets;
}
