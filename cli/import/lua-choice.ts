/**
 * What a LUA record answers: pools of values, chosen by the client's place.
 */
import { MAX_ANSWERS } from '../../wire/limits.ts';
import type { DraftValue } from './draft.ts';
import { conditionOf, networkKey } from './lua-conditions.ts';
import { LuaError, type LuaExpression, type LuaField, type LuaStatement } from './lua-syntax.ts';

type Settings = { readonly [key: string]: DraftValue };
type Spec = Settings & { readonly type: string };

/**
 * `more`: further values of the same VIP. `probe`: the address to which its check connects, if that is not the value.
 */
export type LuaMember = {
  readonly value: string;
  readonly more?: readonly string[];
  readonly weight: number;
  readonly check?: Spec;
  readonly probe?: string;
};
export type PoolStep = 'all' | 'weighted' | 'sticky' | 'nearest';

/** `groups`: the first one with an available member is used. */
export type LuaPool = {
  readonly kind: 'pool';
  readonly groups: readonly (readonly LuaMember[])[];
  readonly step: PoolStep;
  readonly answers: number;
};

/** The first branch that matches is used. A branch without a choice has no answer. */
export type LuaPlaces = {
  readonly kind: 'places';
  readonly branches: readonly { readonly keys: readonly string[]; readonly choice: LuaChoice | undefined }[];
};

export type LuaChoice = LuaPool | LuaPlaces;

/** What a script may refer to. `note` takes a difference that the choice does not have. */
export type LuaContext = {
  readonly variables: Map<string, LuaExpression>;
  readonly include: (name: string) => readonly LuaStatement[];
  readonly note: (message: string) => void;
};

/** Throws `LuaError` for what has no equivalent. Undefined for a script that returns nothing. */
export function choiceOf(statements: readonly LuaStatement[], context: LuaContext): LuaChoice | undefined {
  for (const [at, statement] of statements.entries()) {
    switch (statement.kind) {
      case 'set':
        context.variables.set(statement.name, statement.value);
        break;
      case 'run': {
        const { call } = statement;
        const [name] = call.kind === 'call' ? call.args : [];
        if (call.kind !== 'call' || call.name !== 'include' || name?.kind !== 'text') {
          throw new LuaError(`the call of ${call.kind === 'call' ? call.name : 'a value'} as a statement`);
        }
        choiceOf(context.include(name.text), context);
        break;
      }
      case 'return':
        return statement.value && poolOf(statement.value, context);
      case 'if': {
        const rest = statement.otherwise.length > 0 ? statement.otherwise : statements.slice(at + 1);
        const branches = statement.branches.map(({ when, then }) => {
          if (!then.some(({ kind }) => kind === 'return' || kind === 'if'))
            throw new LuaError('an if without a return');
          return { when: conditionOf(resolved(when, context)), choice: choiceOf(then, context) };
        });
        return joined(branches, choiceOf(rest, context));
      }
    }
  }
  return undefined;
}

type Branch = { readonly when: ReturnType<typeof conditionOf>; readonly choice: LuaChoice | undefined };

/** An excluded place is a branch for the place, with what follows, before one for all others. */
function joined(branches: readonly Branch[], otherwise: LuaChoice | undefined): LuaPlaces {
  const [first, ...more] = branches;
  if (!first) return { kind: 'places', branches: [{ keys: ['default'], choice: otherwise }] };
  const rest = more.length > 0 ? joined(more, otherwise) : otherwise;
  const [matched, others] = first.when.isNegated ? [rest, first.choice] : [first.choice, rest];
  const below = others?.kind === 'places' ? others.branches : [{ keys: ['default'], choice: others }];
  return { kind: 'places', branches: [{ keys: first.when.keys, choice: matched }, ...below] };
}

/** The value of a variable, also inside of a table or call. */
function resolved(expression: LuaExpression, context: LuaContext, depth = 0): LuaExpression {
  if (depth > MAX_DEPTH) throw new LuaError('variables that refer to each other');
  const inner = (each: LuaExpression): LuaExpression => resolved(each, context, depth + 1);
  switch (expression.kind) {
    case 'name': {
      const value = context.variables.get(expression.name);
      if (!value) throw new LuaError(`the variable ${expression.name}, which the zone does not set`);
      return inner(value);
    }
    case 'table':
      return {
        kind: 'table',
        items: expression.items.map(inner),
        fields: expression.fields.map(({ key, value }) => ({ key, value: inner(value) })),
      };
    case 'call':
      return { ...expression, args: expression.args.map(inner) };
    case 'not':
      return { kind: 'not', of: inner(expression.of) };
    case 'and':
    case 'or':
    case 'equal':
    case 'differs':
      return { ...expression, left: inner(expression.left), right: inner(expression.right) };
    case 'constant':
    case 'number':
    case 'text':
      return expression;
  }
}
const MAX_DEPTH = 64;

function poolOf(written: LuaExpression, context: LuaContext): LuaChoice | undefined {
  const expression = resolved(written, context);
  switch (expression.kind) {
    case 'text':
      return plainPool([expression.text], 'all');
    case 'table':
      return expression.items.length === 0 ? undefined : plainPool(textsOf(expression), 'all');
    case 'constant':
      if (expression.word === 'nil') return undefined;
      throw new LuaError(`${expression.word} as an answer`);
    case 'call':
      return callOf(expression.name, expression.args, context);
    case 'and':
    case 'or':
    case 'equal':
    case 'differs':
    case 'not':
    case 'number':
    case 'name':
      throw new LuaError('an answer that is neither a text, a table nor a call');
  }
}

function plainPool(values: readonly string[], step: PoolStep, answers = 1): LuaPool {
  return {
    kind: 'pool',
    groups: [values.map((value) => ({ value, weight: 1 }))],
    step,
    answers: step === 'all' ? values.length : answers,
  };
}

/** The functions of PowerDNS that choose values. */
function callOf(name: string, args: readonly LuaExpression[], context: LuaContext): LuaChoice {
  const [first, second, third] = args;
  switch (name) {
    case 'all':
      return plainPool(textsOf(first), 'all');
    case 'pickrandom':
      return plainPool(textsOf(first), 'weighted');
    case 'pickrandomsample': {
      if (first?.kind !== 'number') throw new LuaError('pickrandomsample without a number');
      const values = textsOf(second);
      const answers = Math.max(1, Math.min(MAX_ANSWERS, first.value, values.length));
      if (first.value > MAX_ANSWERS && values.length > MAX_ANSWERS) {
        context.note(`pickrandomsample of ${first.value}: at most ${MAX_ANSWERS} are answered`);
      }
      return plainPool(values, 'weighted', answers);
    }
    case 'pickhashed':
      context.note(`${name} becomes sticky: a client may get another of the values than it had`);
      return plainPool(textsOf(first), 'sticky');
    case 'pickwrandom':
    case 'pickwhashed': {
      const isHashed = name === 'pickwhashed';
      if (isHashed) context.note(`${name} becomes sticky: a client may get another of the values than it had`);
      return { ...plainPool([], isHashed ? 'sticky' : 'weighted'), groups: [weightedOf(first)] };
    }
    case 'pickclosest':
      return plainPool(textsOf(first), 'nearest');
    case 'ifportup':
      if (first?.kind !== 'number') throw new LuaError('ifportup without a port');
      return checkedPool(groupsOf(second, { type: 'tcp', port: first.value }), third, context);
    case 'ifurlup':
      if (first?.kind !== 'text') throw new LuaError('ifurlup without a URL');
      return checkedPool(groupsOf(second, urlCheck(first.text)), third, context);
    case 'ifurlextup':
      return checkedPool(externalGroups(first), second, context);
    case 'view':
      return viewOf(first);
    default:
      throw new LuaError(`${name} has no equivalent`);
  }
}

function textsOf(expression: LuaExpression | undefined): readonly string[] {
  if (expression?.kind === 'text') return [expression.text];
  if (expression?.kind !== 'table') throw new LuaError('a list of values is expected');
  return expression.items.map((item) => {
    if (item.kind !== 'text') throw new LuaError('a list of texts is expected');
    return item.text;
  });
}

function weightedOf(expression: LuaExpression | undefined): readonly LuaMember[] {
  if (expression?.kind !== 'table') throw new LuaError('a list of weights and values is expected');
  return expression.items.map((pair) => {
    const [weight, value] = pair.kind === 'table' ? pair.items : [];
    if (weight?.kind !== 'number' || value?.kind !== 'text')
      throw new LuaError('pairs of weight and value are expected');
    return { value: value.text, weight: weight.value };
  });
}

type Groups = readonly (readonly LuaMember[])[];

/** A list of addresses, or a list of such lists. */
function groupsOf(expression: LuaExpression | undefined, check: Spec): Groups {
  if (expression?.kind !== 'table') throw new LuaError('a list of addresses is expected');
  const isNested = expression.items.some(({ kind }) => kind === 'table');
  const lists = isNested ? expression.items.map(textsOf) : [textsOf(expression)];
  return lists.map((list) => list.map((value) => ({ value, weight: 1, check })));
}

/** PowerDNS connects to the address, with the host of the URL; it verifies no certificate. */
function urlCheck(written: string): Spec {
  if (!URL.canParse(written)) throw new LuaError(`${written}, which is not a URL`);
  const { protocol, hostname, port, pathname, search } = new URL(written);
  const isTls = protocol === 'https:';
  if (!isTls && protocol !== 'http:') throw new LuaError(`${written}, which is not a URL of HTTP`);
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  return {
    type: isTls ? 'https' : 'http',
    path: `${pathname}${search}`,
    ...(isAddress ? {} : { host: hostname }),
    ...(port === '' ? {} : { port: Number(port) }),
    status: 200,
    ...(isTls ? { insecure: true } : {}),
  };
}

const SELECTORS: ReadonlyMap<string, PoolStep> = new Map([
  ['random', 'weighted'],
  ['all', 'all'],
  ['hashed', 'sticky'],
  ['pickclosest', 'nearest'],
]);

/** lua-health-checks-interval, and the defaults of the options. */
const INTERVAL_SECONDS = 5;
const TIMEOUT_SECONDS = 2;

/** Completes the checks of the members by the options. */
function checkedPool(groups: Groups, options: LuaExpression | undefined, context: LuaContext): LuaPool {
  const fields = options?.kind === 'table' ? options.fields : [];
  const numberOf = (key: string): number | undefined => {
    const value = fields.find((field) => field.key === key)?.value;
    return value?.kind === 'number'
      ? value.value
      : value?.kind === 'text'
        ? Number.parseInt(value.text, 10) || undefined
        : undefined;
  };
  const textOf = (key: string): string | undefined => {
    const value = fields.find((field) => field.key === key)?.value;
    return value?.kind === 'text' ? value.text : undefined;
  };
  noteOptions(fields, context);
  const selector = textOf('selector') ?? 'random';
  const step = SELECTORS.get(selector);
  if (!step) throw new LuaError(`the selector ${selector}, which has no equivalent`);
  if (step === 'sticky')
    context.note('the selector hashed becomes sticky: a client may get another of the values than it had');
  const backup = textOf('backupSelector') ?? 'random';
  if (backup !== selector || groups.length > 1) {
    context.note(
      `if all addresses are down, PowerDNS chooses among all of them (${backup}); here the steps choose as if all were up`,
    );
  }
  const status = numberOf('httpcode');
  const search = textOf('stringmatch');
  const agent = textOf('useragent');
  const more = (isHttp: boolean): Settings => ({
    ...(status === undefined || !isHttp ? {} : { status }),
    ...(search === undefined || !isHttp
      ? {}
      : { body: search.startsWith('/') ? `/${escapedForRegex(search)}/` : search }),
    ...(agent === undefined || !isHttp ? {} : { headers: { 'User-Agent': agent } }),
    interval: `${numberOf('interval') ?? INTERVAL_SECONDS}s`,
    timeout: `${Math.min(60, numberOf('timeout') ?? TIMEOUT_SECONDS)}s`,
    rise: 1,
    fall: Math.max(1, Math.min(100, numberOf('minimumFailures') ?? 1)),
  });
  const complete = groups.map((group) =>
    group.map((member) => ({
      ...member,
      ...(member.check && { check: { ...member.check, ...more(member.check.type !== 'tcp') } }),
    })),
  );
  const size = Math.max(...groups.map((group) => group.length), 1);
  return { kind: 'pool', groups: complete, step, answers: step === 'all' ? size : 1 };
}

function escapedForRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

const READ_OPTIONS: ReadonlySet<string> = new Set([
  ...['selector', 'backupSelector', 'timeout', 'interval', 'minimumFailures', 'httpcode', 'stringmatch', 'useragent'],
]);

function noteOptions(fields: readonly LuaField[], context: LuaContext): void {
  for (const { key } of fields) {
    if (key === 'source') context.note('the option source: checks have no source address of their own');
    else if (!READ_OPTIONS.has(key)) context.note(`the option ${key} has no equivalent`);
  }
}

/** Each address has the URL of a check elsewhere. */
function externalGroups(groups: LuaExpression | undefined): Groups {
  const lists = groups?.kind === 'table' ? groups.items : [];
  const members = lists.map((group) =>
    (group.kind === 'table' ? group.fields : []).map(({ key, value }): LuaMember => {
      if (value.kind !== 'text') throw new LuaError('ifurlextup with an address without a URL');
      const check = urlCheck(value.text);
      const { hostname, port, protocol } = new URL(value.text);
      const probe = `${hostname}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`;
      // The port of the probe is before that of the check.
      return { value: key, weight: 1, check, probe };
    }),
  );
  if (members.flat().length === 0) throw new LuaError('ifurlextup without addresses');
  return members;
}

/** Networks with their values; the first that matches is used. */
function viewOf(pairs: LuaExpression | undefined): LuaPlaces {
  const list = pairs?.kind === 'table' ? pairs.items : [];
  if (list.length === 0) throw new LuaError('view without networks');
  return {
    kind: 'places',
    branches: list.map((pair) => {
      const [networks, values] = pair.kind === 'table' ? pair.items : [];
      return { keys: [...new Set(textsOf(networks).map(networkKey))], choice: plainPool(textsOf(values), 'all') };
    }),
  };
}

/** Whether it answers everybody with all its values, always. */
export function isConstantPool({ step, groups }: LuaPool): boolean {
  return step === 'all' && groups.length === 1 && groups.flat().every(({ check }) => check === undefined);
}

/** Values that are always answered together as one member, in a pool of a type that a VIP can have many records of. */
export function joinValues(choice: LuaChoice): LuaChoice {
  if (choice.kind === 'places') {
    const branches = choice.branches.map(({ keys, choice: inner }) => ({ keys, choice: inner && joinValues(inner) }));
    return { kind: 'places', branches };
  }
  const [[first, ...more] = []] = choice.groups;
  if (!first || !isConstantPool(choice)) return choice;
  return { ...choice, groups: [[{ ...first, more: more.map(({ value }) => value) }]], answers: 1 };
}
