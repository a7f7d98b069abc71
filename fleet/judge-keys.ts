/**
 * Whether all nodes of a fleet sign a zone with the same keys (docs/dnssec.md#keys). A parent may act on the CDS of any
 * one name server, so a node publishes CDS only while this holds. Pure.
 */
import type { SerialExchange } from './serial-exchange.ts';

export type FleetSight = {
  readonly isConnected: boolean;
  /** All peers that belong to the fleet, fresh or not. */
  readonly known: readonly string[];
  readonly fresh: ReadonlySet<string>;
  readonly servedBy: SerialExchange['servedBy'];
};

/** `unsure`: a node cannot be asked at this time, for example because it restarts. */
export type KeyVerdict =
  | { readonly kind: 'same' }
  | { readonly kind: 'different'; readonly why: string }
  | { readonly kind: 'unsure'; readonly why: string };

/** `zone` is its `nameKey`, `keys` the digest of the keys with which this node signs it. */
export function judgeKeys(zone: string, keys: string, { isConnected, known, fresh, servedBy }: FleetSight): KeyVerdict {
  let unsure: string | undefined = isConnected ? undefined : 'this node is not connected to NATS';
  for (const node of known) {
    const served = servedBy(node)?.get(zone);
    if (!fresh.has(node)) unsure ??= `node ${node} is not heard`;
    else if (served === undefined) unsure ??= `node ${node} does not serve the zone`;
    else if (served.keys === undefined) return { kind: 'different', why: `node ${node} does not sign the zone` };
    else if (served.keys !== keys) return { kind: 'different', why: `node ${node} has other keys` };
  }
  return unsure === undefined ? { kind: 'same' } : { kind: 'unsure', why: unsure };
}
