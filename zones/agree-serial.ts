/**
 * Serials with `soa.serial: auto` in a fleet (docs/transfer.md#serials-in-a-fleet): the same on every node for the same
 * content. Pure; `fleet/serial-exchange.ts` tells nodes what the others know.
 *
 * Nodes tell each other pairs of content and serial. A pair is never taken back, and of two serials for one content the
 * later one holds, so nodes that hear each other come to the same pairs in whatever order they hear them.
 */
import { isLaterSerial, latestSerial, serialAfter } from '../wire/serial.ts';

/** What the fleet knows of one zone: the latest serial by digest of the content. */
export type KnownContents = ReadonlyMap<string, number>;

/** By zone (`nameKey` of the apex). */
export type FleetSerials = {
  readonly known: ReadonlyMap<string, KnownContents>;
  /**
   * Whether secondaries may have seen the serials in force. False before a start: then the serials of the last run are
   * what they may have seen.
   */
  readonly isServed: boolean;
};

export type SerialQuestion = {
  /** Digest of the content to be served. */
  readonly content: string;
  /** What this node served last; undefined: nothing. The content is '' if it is unknown. */
  readonly before: { readonly content: string; readonly serial: number } | undefined;
  readonly known: KnownContents;
  /** The serial of the zone's files, for content that nobody knows. */
  readonly ofFiles: number;
};

/**
 * The serial of a content. It is later than the one that this node served for another content, and never earlier than the
 * one that it served for this content.
 */
export function agreedSerial({ content, before, known, ofFiles }: SerialQuestion): number {
  const agreed = known.get(content);
  const all = [...known.values(), ...(before ? [before.serial] : [])];
  const serial = ((): number => {
    if (before?.content === content) return agreed !== undefined && isLaterSerial(agreed, before.serial) ? agreed : before.serial; // prettier-ignore
    // Another node was first. An earlier serial than the last one here means that the content comes back: it is new again.
    if (agreed !== undefined && (before === undefined || isLaterSerial(agreed, before.serial))) return agreed;
    return serialAfter(latestSerial(all), ofFiles);
  })();
  // Nodes that did not hear each other gave two contents the same serial: a secondary would not notice the second one.
  const rivals = [...known].flatMap(([other, taken]) => (taken === serial && other !== content ? [other] : []));
  if (rivals.length === 0) return serial;
  const place = rivals.filter((other) => other < content).length;
  return ((latestSerial([...all, serial]) ?? serial) + 1 + place) >>> 0;
}
