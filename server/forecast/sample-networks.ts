/**
 * A sample of client networks for services whose VIPs shed: shedding depends on the network (steering/shed.ts). Clients
 * are of one kind if the same VIPs refuse them, in the same order of excess pressure. All clients of a kind get the
 * same decision, so one decision per kind is enough.
 */
import { pressureAt } from '../../health/health-table.ts';
import type { Steerer } from '../../steering/decision.ts';
import { SERVICE, serviceWord } from '../../steering/plan.ts';
import { bearing, shedNetwork } from '../../steering/shed.ts';
import { numberAt } from './numbers.ts';

export type Sample = {
  /**
   * Classifies the clients with the present pressures of the steerer's health table. If there are more kinds than
   * `most`, the clients from that point on are left out, in all later calls too.
   */
  readonly sort: (most: number) => Sorted;
};

export type Sorted = {
  /** Kind by client. A kind keeps its number in all calls. The next call overwrites the array. */
  readonly kinds: Int32Array;
  /** One client of each kind. */
  readonly clients: ReadonlyMap<number, Uint8Array>;
  /** Upper bound (exclusive) of the kinds of this and earlier calls. */
  readonly known: number;
};

/** The first is in 198.18.0.0/15. Any networks with different hashes could be used. */
function clientOf(number: number): Uint8Array {
  return Uint8Array.of(198, 18 + (number >> 8), number & 0xff, 0);
}

/** The networks of the first `size` clients, in the form that `bearing` takes. */
let networks = new Int32Array(0);

function networksOf(size: number): Int32Array {
  if (networks.length < size) {
    networks = Int32Array.from({ length: size }, (_, number) => shedNetwork(clientOf(number), 32));
  }
  return networks;
}

/** `size` clients, at most 32,768. The error of their shares is at most about 1 / √size. */
export function createSample({ plan, health }: Steerer, service: number, size: number): Sample {
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const vipCount = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  const bearings = new Map<number, Int32Array>();
  const kinds = new Int32Array(size);
  let left = size;
  const known = new Map<string | number, number>();

  const bearingsAt = (slot: number): Int32Array => {
    let own = bearings.get(slot);
    if (own === undefined) {
      own = new Int32Array(size);
      const hashes = networksOf(size);
      for (let number = 0; number < size; number++) own[number] = bearing(plan, slot, numberAt(hashes, number));
      bearings.set(slot, own);
    }
    return own;
  };
  // If the ranks fit one exact integer, they are its digits.
  const digits = (vipCount + 1) ** vipCount <= Number.MAX_SAFE_INTEGER;
  const worth = Array.from({ length: vipCount }, (_, vip) => (vipCount + 1) ** vip);

  return {
    sort(most) {
      const pressed = Int32Array.from({ length: vipCount }, (_, vip) => vip).filter(
        (vip) => pressureAt(health, firstSlot + vip) > 0,
      );
      const pressures = pressed.map((vip) => pressureAt(health, firstSlot + vip));
      const borne = Array.from(pressed, (vip) => bearingsAt(firstSlot + vip));
      const clients = new Map<number, Uint8Array>();
      // The VIPs that refuse the client, least excess first.
      const vips = new Int32Array(pressed.length);
      const excesses = new Int32Array(pressed.length);
      for (let number = 0; number < left; number++) {
        let refusing = 0;
        for (let index = 0; index < pressed.length; index++) {
          const excess = numberAt(pressures, index) - (borne[index]?.[number] ?? 0);
          if (excess <= 0) continue;
          // Insertion sort: a service has few VIPs under pressure.
          let at = refusing++;
          for (; at > 0 && numberAt(excesses, at - 1) > excess; at--) {
            excesses[at] = numberAt(excesses, at - 1);
            vips[at] = numberAt(vips, at - 1);
          }
          excesses[at] = excess;
          vips[at] = numberAt(pressed, index);
        }
        let key: string | number = digits ? 0 : '';
        for (let at = 0, rank = 0; at < refusing; at++) {
          if (at === 0 || excesses[at] !== excesses[at - 1]) rank = at + 1;
          const vip = numberAt(vips, at);
          if (typeof key === 'number') key += rank * numberAt(worth, vip);
          else key += String.fromCharCode(vip, rank);
        }
        let kind = known.get(key);
        if (kind === undefined) known.set(key, (kind = known.size));
        kinds[number] = kind;
        if (clients.has(kind)) continue;
        if (clients.size === most) left = number;
        else clients.set(kind, clientOf(number));
      }
      return { kinds: kinds.subarray(0, left), clients, known: known.size };
    },
  };
}

/** How often each number occurs. */
export function countEach(numbers: Int32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return counts;
}
