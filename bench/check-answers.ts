/**
 * Compares a server's answers to a sample of a case's questions with the expected answers.
 */
import type { Running } from '../test/support/server-process.ts';
import type { Case, Question } from './cases.ts';
import type { Transport } from './peers/peer.ts';
import { ask, askStream, type Seen } from './read-response.ts';

const SAMPLE = 400;
/** Queries for cases whose shares are checked. */
const DRAWS = 2000;
const STICKY_BITS = 24;
const TIMEOUT_MS = 2000;

/** Throws with the first wrong answer. */
export async function checkAnswers(
  server: string,
  running: Running,
  { transport, weights, isSticky, isSigned = false }: Case,
  questions: readonly Question[],
): Promise<void> {
  const put = (packet: Buffer): Promise<Seen | undefined> =>
    transport === 'udp'
      ? ask(running.port, packet, TIMEOUT_MS)
      : askStream(transport, portOf(running, transport), packet, TIMEOUT_MS);
  /** Counts by the index of the address among the expected ones. */
  const draws = new Map<number, number>();
  const count = weights ? DRAWS : SAMPLE;
  for (let i = 0; i < count; i++) {
    const question = questions[Math.floor((i * questions.length) / count)];
    if (!question) continue;
    const seen = await put(question.packet);
    const again = isSticky ? await put(question.packet) : undefined;
    const problem = wrong(seen, question.expected, isSigned) ?? (isSticky ? unsteady(seen, again) : undefined);
    if (problem !== undefined) {
      const what = `${server} answers ${question.packet.toString('hex')} with ${problem}`;
      throw new Error(`${what}, expected ${question.expected.join(' or ') || 'NXDOMAIN'}`);
    }
    const place = question.expected.indexOf(seen?.addresses[0] ?? '');
    draws.set(place, (draws.get(place) ?? 0) + 1);
  }
  if (weights) checkShares(server, draws, weights);
}

/** The port on which a server takes queries over this transport. */
export function portOf({ port, tlsPort }: Running, transport: Transport): number {
  return transport === 'tls' ? (tlsPort ?? 0) : port;
}

function wrong(seen: Seen | undefined, expected: readonly string[], isSigned: boolean): string | undefined {
  if (!seen) return 'silence';
  if (!seen.authoritative) return 'AA clear';
  if (expected.length === 0) {
    return seen.rcode === 3 && seen.answers === 0 && seen.authorities === 1 ? undefined : `RCODE ${seen.rcode}`;
  }
  if (seen.rcode !== 0) return `RCODE ${seen.rcode}`;
  const [address, ...others] = seen.addresses;
  if (address === undefined || others.length > 0 || seen.answers !== (isSigned ? 2 : 1))
    return `${seen.answers} records`;
  return expected.includes(address) ? undefined : address;
}

function unsteady(seen: Seen | undefined, again: Seen | undefined): string | undefined {
  const [first = '', second = ''] = [seen?.addresses[0], again?.addresses[0]];
  if (first !== second) return `${first}, then ${second}`;
  const scopeBits = seen?.scopeBits ?? 0;
  return scopeBits < STICKY_BITS ? `scope /${scopeBits}` : undefined;
}

/** Five standard deviations of a binomial draw: wrong once in a million runs. */
function checkShares(server: string, draws: ReadonlyMap<number, number>, weights: readonly number[]): void {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [place, weight] of weights.entries()) {
    const share = weight / total;
    const tolerance = 5 * Math.sqrt(DRAWS * share * (1 - share));
    const [got, due] = [draws.get(place) ?? 0, DRAWS * share];
    if (Math.abs(got - due) > tolerance) {
      const what = `${server} gave address ${place + 1}, of weight ${weight}`;
      throw new Error(`${what}, ${got} times in ${DRAWS}, expected about ${Math.round(due)}`);
    }
  }
}
