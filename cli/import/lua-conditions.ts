/**
 * Conditions of LUA records about the client's place, as keys of a `geo` step.
 */
import { continentOf, isCountry } from '../../geo/countries.ts';
import { enclosingNetwork, formatPrefix, inPrefix, parsePrefix } from '../../wire/address.ts';
import { continentKey } from './geo-keys.ts';
import { LuaError, type LuaExpression } from './lua-syntax.ts';

/** The clients for which a condition is true: those of the keys, or all others. */
type Condition = { readonly keys: readonly string[]; readonly isNegated: boolean };

/** Throws `LuaError` for a condition that is not about a place, or that no keys can express. */
export function conditionOf(expression: LuaExpression): Condition {
  switch (expression.kind) {
    case 'call':
      return { keys: placesOf(expression.name, expression.args.flatMap(listed)), isNegated: false };
    case 'not': {
      const { keys, isNegated } = conditionOf(expression.of);
      return { keys, isNegated: !isNegated };
    }
    case 'equal':
    case 'differs': {
      const { left, right } = expression;
      const code = left.kind === 'call' ? CODES.get(left.name) : undefined;
      if (code === undefined || right.kind !== 'text')
        throw new LuaError('a comparison without a country or continent');
      return { keys: placesOf(code, [right]), isNegated: expression.kind === 'differs' };
    }
    case 'or': {
      const [left, right] = [conditionOf(expression.left), conditionOf(expression.right)];
      if (left.isNegated || right.isNegated) throw new LuaError('an "or" of places that are excluded');
      return { keys: [...left.keys, ...right.keys], isNegated: false };
    }
    case 'and':
      return { keys: subdivisions(expression.left, expression.right), isNegated: false };
    case 'constant':
    case 'name':
    case 'number':
    case 'table':
    case 'text':
      throw new LuaError('a condition that is not about a place');
  }
}

const CODES: ReadonlyMap<string, string> = new Map([
  ['countryCode', 'country'],
  ['continentCode', 'continent'],
]);

function listed(expression: LuaExpression): readonly LuaExpression[] {
  return expression.kind === 'table' ? expression.items : [expression];
}

function placesOf(name: string, values: readonly LuaExpression[]): readonly string[] {
  const texts = values.map((value) => {
    if (value.kind === 'text') return value.text;
    if (value.kind === 'number') return String(value.value);
    throw new LuaError(`an argument of ${name} that is not a text or a number`);
  });
  switch (name) {
    case 'country':
      return texts.map((text) => countryKey(text));
    case 'continent':
      return texts.map((text) => {
        const key = continentKey(text);
        if (key === undefined) throw new LuaError(`${text}, which is not a continent`);
        return key;
      });
    case 'asnum':
      return texts.map((text) => `AS${text}`);
    case 'netmask':
      return texts.map(networkKey);
    case 'region':
      throw new LuaError('region without country: a key of geo names both');
    default:
      throw new LuaError(`the condition ${name}, which is not about a place`);
  }
}

function countryKey(text: string): string {
  const country = text.toUpperCase();
  if (!isCountry(country)) throw new LuaError(`${text}, which is not a country`);
  return country;
}

/** A network as a key of `geo`; all addresses are `default`. */
export function networkKey(text: string): string {
  const network = enclosingNetwork(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
  if (!network) throw new LuaError(`${text}, which is not a network`);
  return network.bits === 0 ? 'default' : formatPrefix(network);
}

/** `country('US') and region('CA')`. */
function subdivisions(left: LuaExpression, right: LuaExpression): readonly string[] {
  const calls = [left, right].flatMap((each) => (each.kind === 'call' ? each : []));
  const argsOf = (name: string): readonly string[] =>
    calls
      .filter((call) => call.name === name)
      .flatMap(({ args }) => args.flatMap(listed))
      .flatMap((each) => (each.kind === 'text' ? each.text.toUpperCase() : []));
  const [countries, regions] = [argsOf('country'), argsOf('region')];
  if (countries.length === 0 || regions.length === 0)
    throw new LuaError('an "and" of other conditions than country and region');
  return countries.flatMap((country) => regions.map((region) => `${countryKey(country)}-${region}`));
}

/** Whether every client of the key `inner` is one of the key `outer`. */
export function isPlaceWithin(inner: string, outer: string): boolean {
  if (inner === outer || outer === 'default') return true;
  const [one, other] = [parsePrefix(inner), parsePrefix(outer)];
  if (one && other) return one.bits >= other.bits && inPrefix(one.bytes, other);
  const country = /^[A-Z]{2}(?=-|$)/.exec(inner)?.[0];
  if (country === undefined) return false;
  return country === outer || (isCountry(country) && continentOf(country) === outer);
}

/**
 * Whether the later of two conditions comes first in Pharos for some clients, since its key is more specific: networks
 * are before AS numbers, and both before countries (docs/steering.md#geo).
 */
export function overtakes(later: string, earlier: string): boolean {
  const rank = (key: string): number => (key.includes('/') ? 2 : /^AS\d/.test(key) ? 1 : 0);
  if (rank(later) > rank(earlier)) return true;
  return later !== earlier && isPlaceWithin(later, earlier);
}
