/**
 * A trace as text: the answer first, then the reasons in the order of the decision.
 */
import type { TraceDocument } from '../status/trace-document.ts';
import { type Output, table } from './output.ts';

type Paint = Output['style'];
type Candidate = TraceDocument['candidates'][number];
type Voter = NonNullable<Candidate['votes']>['voters'][number];
/** The part of a trace about one service: the last one, or one whose CNAME led to it. */
type Part = Pick<TraceDocument, 'candidates' | 'steps' | 'all_down' | 'type'> & {
  readonly service: string;
  readonly vips: readonly string[];
};

/** The whole decision as lines of text, without a final newline. `paint` colours, or returns its text as it is. */
export function renderTrace(trace: TraceDocument, paint: Paint): string {
  return [
    headline(trace, paint),
    clientLines(trace, paint),
    ...aliasLines(trace),
    ...(trace.service === null
      ? [staticLine(trace)]
      : partsOf(trace, trace.service).flatMap((part) => [
          candidateLines(part, paint),
          ...voteLines(part, paint),
          stepLines(part, paint),
        ])),
    answerLines(trace, paint),
  ].join('\n\n');
}

function partsOf(trace: TraceDocument, service: string): Part[] {
  const { type, answer } = trace;
  return [...trace.via.map((part) => ({ ...part, type })), { ...trace, service, vips: answer.vips }];
}

/** `www.example.com A = 203.0.113.10, 203.0.113.11 (seoul-a, seoul-b)` */
function headline(trace: TraceDocument, paint: Paint): string {
  const { rcode, records } = trace.answer;
  const vips = [...trace.via.flatMap((part) => part.vips), ...trace.answer.vips];
  const asked = paint('bold', `${trace.name} ${trace.type}`);
  if (records.length === 0) return `${asked} = ${paint('red', rcode === 'NOERROR' ? 'no data' : rcode)}`;
  const data = paint('bold', records.map((record) => record.data).join(', '));
  return vips.length === 0 ? `${asked} = ${data}` : `${asked} = ${data} (${vips.join(', ')})`;
}

function clientLines(trace: TraceDocument, paint: Paint): string {
  const { client } = trace;
  const source = {
    subnet: 'client subnet',
    resolver: "the resolver's own address",
    place: 'location from the request',
  };
  const where = [
    client.city,
    client.country,
    client.subdivision,
    client.continent,
    client.asn > 0 ? `AS${client.asn}` : '',
    client.latitude === null || client.longitude === null
      ? ''
      : `${degrees(client.latitude)},${degrees(client.longitude)}`,
  ].filter((part) => part !== '');
  return section('Client', paint, [
    client.address === null ? 'no address, only a location' : `${client.address} (${source[client.source]})`,
    where.length === 0 ? paint('yellow', 'location unknown') : where.join(', '),
    client.how,
  ]);
}

/** `ALIAS: example.com -> c.example.com -> www.example.com, with the addresses of the last.` */
function aliasLines({ alias, name }: TraceDocument): readonly string[] {
  return alias === null ? [] : [`ALIAS: ${[name, ...alias].join(' -> ')}, with the addresses of the last.`];
}

function staticLine(trace: TraceDocument): string {
  return trace.zone === ''
    ? 'No zone of this server contains the name.'
    : `No service has this name: zone ${trace.zone} has the same answer for every client.`;
}

/** Rounded to a kilometre, the precision of databases. */
function degrees(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function candidateLines({ service, type, candidates, vips }: Part, paint: Paint): string {
  const head = ['', 'VIP', 'REGION', 'DATA', 'WEIGHT', 'STATE', 'WHY'].map((cell) => paint('dim', cell));
  const rows = candidates.map((candidate) => [
    vips.includes(candidate.vip) ? paint('green', '=>') : '',
    candidate.vip,
    candidate.region === '' ? '-' : candidate.region,
    candidate.data,
    String(candidate.weight),
    paint(candidate.available ? 'green' : 'red', stateOf(candidate)),
    candidate.why,
  ]);
  const title = `${service}: ${rows.length === 0 ? `no VIP has an ${type}` : 'its VIPs (=> is served)'}`;
  return section(title, paint, rows.length === 0 ? [] : table([head, ...rows]).split('\n'));
}

/**
 * One line per region of each VIP: votes of its nodes, when they were heard, and what they see. None without a fleet.
 */
function voteLines({ service, candidates }: Part, paint: Paint): readonly string[] {
  const rows = candidates.flatMap(({ vip, votes }) => {
    // A server of an earlier version sends no votes.
    if (!votes) return [];
    const { verdict, quorum, needed, view, regions, voters } = votes;
    const rule = `${quorum}: ${needed} of ${regions.length}${view === 'fleet' ? '' : `, view ${view}`}`;
    const names = [...new Set(voters.map(({ region }) => region))].sort();
    return names.map((name, at) => {
      const says = regions.find(({ region }) => region === name)?.says;
      return [
        ...(at === 0 ? [vip, paintState(verdict, paint), rule] : ['', '', '']),
        name,
        says === undefined ? '-' : says === 'unknown' ? 'tied' : paintState(says, paint),
        voters
          .filter(({ region }) => region === name)
          .map((voter) => voterWords(voter, voter === voters[0]))
          .join('; '),
      ];
    });
  });
  if (rows.length === 0) return [];
  const head = ['VIP', 'VERDICT', 'QUORUM', 'REGION', 'SAYS', 'NODES'].map((cell) => paint('dim', cell));
  return [section(`${service}: votes of the fleet`, paint, table([head, ...rows]).split('\n'))];
}

function paintState(state: string, paint: Paint): string {
  return paint(state === 'up' ? 'green' : state === 'down' ? 'red' : 'yellow', state);
}

/** `dub1 down: HTTP 503 (0.4 s ago)`. The server that was asked is the first of the voters. */
function voterWords({ node, vote, reason, age_ms: ageMs, fresh, probes }: Voter, isAsked: boolean): string {
  const ago = `${(ageMs / 1000).toFixed(1)} s ago`;
  if (!fresh) return `${node} was last heard ${ago}`;
  if (vote === 'unknown') return `${node} ${probes ? 'has no result yet' : 'does not probe it'}`;
  const word = vote === 'abstain' ? 'abstains' : vote;
  return `${node} ${reason === null ? word : `${word}: ${reason}`} (${isAsked ? 'this node' : ago})`;
}

/** The effective state, and the probed one if an operator has set another: `drain (probed up)`. */
function stateOf(candidate: Candidate): string {
  return candidate.forced === null ? candidate.probed : `${candidate.forced} (probed ${candidate.probed})`;
}

function stepLines({ steps, all_down: allDown }: Part, paint: Paint): string {
  const rows = steps.map((step, index) => [
    `${index + 1}.`,
    step.step,
    step.kept.length === 0 ? paint('red', 'nothing') : step.kept.join(', '),
    step.why,
  ]);
  const head = ['', 'STEP', 'KEPT', 'WHY'].map((cell) => paint('dim', cell));
  const lines = rows.length === 0 ? [] : table([head, ...rows]).split('\n');
  return section('Steering', paint, [
    ...(allDown === null ? [] : [paint('red', allDown)]),
    ...(lines.length === 0 ? ['no step ran'] : lines),
  ]);
}

function answerLines(trace: TraceDocument, paint: Paint): string {
  const { rcode, records } = trace.answer;
  const rows = records.map((record) => [record.name, String(record.ttl), record.type, record.data]);
  return [
    section(
      `Answer: ${rcode}${rows.length === 0 ? ', no records' : ''}`,
      paint,
      rows.length === 0 ? [] : table(rows).split('\n'),
    ),
    `${paint('bold', 'TTL')}    ${trace.ttl.seconds} s: ${trace.ttl.why}`,
    `${paint('bold', 'Scope')}  /${trace.scope.bits}: ${trace.scope.why}`,
    ...signingLines(trace, paint),
  ].join('\n');
}

/** `Signed by key 12345 until 2026-12-12T15:27:56Z: signed beforehand`; nothing if the zone is not signed. */
function signingLines({ signing }: Partial<TraceDocument>, paint: Paint): readonly string[] {
  // A server of an earlier version does not report this.
  if (!signing) return [];
  const { key_tags: tags, valid_until: until, how } = signing;
  if (until === null) return [`${paint('bold', 'Signed')} no: ${how}`];
  return [`${paint('bold', 'Signed')} by key ${tags.join(', ')} until ${until.replace('.000Z', 'Z')}: ${how}`];
}

function section(title: string, paint: Paint, lines: readonly string[]): string {
  return [paint('bold', title), ...lines.filter((line) => line !== '').map((line) => `  ${line}`)].join('\n');
}
