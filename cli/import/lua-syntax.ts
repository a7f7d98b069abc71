/**
 * The part of Lua that LUA records of PowerDNS consist of: calls, tables, conditions, assignments and `return`.
 * Anything else is not read.
 */

export type LuaExpression =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'constant'; readonly word: 'true' | 'false' | 'nil' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'table'; readonly items: readonly LuaExpression[]; readonly fields: readonly LuaField[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly LuaExpression[] }
  | { readonly kind: 'not'; readonly of: LuaExpression }
  | { readonly kind: 'and' | 'or' | 'equal' | 'differs'; readonly left: LuaExpression; readonly right: LuaExpression };

export type LuaField = { readonly key: string; readonly value: LuaExpression };

export type LuaStatement =
  | { readonly kind: 'return'; readonly value: LuaExpression | undefined }
  | { readonly kind: 'set'; readonly name: string; readonly value: LuaExpression }
  | { readonly kind: 'run'; readonly call: LuaExpression }
  | { readonly kind: 'if'; readonly branches: readonly LuaBranch[]; readonly otherwise: readonly LuaStatement[] };

export type LuaBranch = { readonly when: LuaExpression; readonly then: readonly LuaStatement[] };

/** Why a script cannot be read or has no equivalent. */
export class LuaError extends Error {}

/** Deepest nesting of expressions and conditions: more than records have, and well below the depth of the stack. */
const MAX_DEPTH = 64;

type Token = { readonly kind: 'text' | 'number' | 'word' | 'sign' | 'end'; readonly text: string };
type Reader = { readonly tokens: readonly Token[]; at: number; depth: number };

const TOKENS =
  /\s+|--[^\n]*|(?<number>\d+(?:\.\d+)?)|(?<word>[A-Za-z_]\w*)|(?<text>'(?:[^'\\]|\\[^])*'|"(?:[^"\\]|\\[^])*")|(?<sign>==|~=|[(){}[\],;=])|(?<other>[^])/gy;

/**
 * A record's script. One that begins with a semicolon has statements; any other is one expression, whose value is
 * returned. `isConfiguration`: a record that others include has statements in any case.
 */
export function parseLua(script: string, isConfiguration = false): readonly LuaStatement[] {
  const isScript = script.trimStart().startsWith(';');
  const reader: Reader = { tokens: tokensOf(isScript ? script.replace(';', '') : script), at: 0, depth: 0 };
  if (isScript || isConfiguration) return readBlock(reader, ['']);
  const value = readExpression(reader);
  expectEnd(reader);
  return [{ kind: 'return', value }];
}

function tokensOf(script: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const { groups = {}, index } of script.matchAll(TOKENS)) {
    const { number, word, text, sign, other } = groups;
    if (other !== undefined) throw new LuaError(`${other}${script.slice(index + 1, index + 12)} is not read`);
    if (number !== undefined) tokens.push({ kind: 'number', text: number });
    if (word !== undefined) tokens.push({ kind: 'word', text: word });
    if (text !== undefined) tokens.push({ kind: 'text', text: unescaped(text.slice(1, -1)) });
    if (sign !== undefined) tokens.push({ kind: 'sign', text: sign });
  }
  return tokens;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

function unescaped(text: string): string {
  return text.replace(/\\(\d{1,3}|[^])/g, (_whole, escaped: string) =>
    /^\d/.test(escaped) ? String.fromCharCode(Number(escaped)) : (ESCAPES.get(escaped) ?? escaped),
  );
}

const END: Token = { kind: 'end', text: '' };

function peek({ tokens, at }: Reader): Token {
  return tokens[at] ?? END;
}

function isNext(reader: Reader, text: string): boolean {
  const token = peek(reader);
  return token.text === text && token.kind !== 'text' && token.kind !== 'end';
}

function take(reader: Reader, text: string): boolean {
  if (!isNext(reader, text)) return false;
  reader.at++;
  return true;
}

function expect(reader: Reader, text: string): void {
  if (!take(reader, text)) throw new LuaError(`${peek(reader).text || 'its end'} where ${text} is expected`);
}

function expectEnd(reader: Reader): void {
  const token = peek(reader);
  if (token.kind !== 'end') throw new LuaError(`${token.text} is not read`);
}

/** Statements up to one of these words, or to the end of the script (''). */
function readBlock(reader: Reader, ends: readonly string[]): readonly LuaStatement[] {
  if (++reader.depth > MAX_DEPTH) throw new LuaError('its conditions are nested too deeply');
  const statements: LuaStatement[] = [];
  for (;;) {
    while (take(reader, ';'));
    const token = peek(reader);
    if (token.kind === 'end') {
      if (!ends.includes('')) throw new LuaError('an end is missing');
      break;
    }
    if (token.kind === 'word' && ends.includes(token.text)) break;
    statements.push(readStatement(reader));
  }
  reader.depth--;
  return statements;
}

function readStatement(reader: Reader): LuaStatement {
  if (take(reader, 'if')) return readIf(reader);
  if (take(reader, 'return')) {
    const { kind, text } = peek(reader);
    const isEmpty = kind === 'end' || text === ';' || text === 'end' || text === 'else' || text === 'elseif';
    return { kind: 'return', value: isEmpty ? undefined : readExpression(reader) };
  }
  take(reader, 'local');
  const { kind, text } = peek(reader);
  if (kind !== 'word') throw new LuaError(`${text} is not read`);
  const next = reader.tokens[reader.at + 1];
  if (next?.text === '=' && next.kind === 'sign') {
    reader.at += 2;
    return { kind: 'set', name: text, value: readExpression(reader) };
  }
  const call = readValue(reader);
  if (call.kind !== 'call') throw new LuaError(`${text} is not read`);
  return { kind: 'run', call };
}

function readIf(reader: Reader): LuaStatement {
  const branches: LuaBranch[] = [];
  do {
    const when = readExpression(reader);
    expect(reader, 'then');
    branches.push({ when, then: readBlock(reader, ['elseif', 'else', 'end']) });
  } while (take(reader, 'elseif'));
  const otherwise = take(reader, 'else') ? readBlock(reader, ['end']) : [];
  expect(reader, 'end');
  return { kind: 'if', branches, otherwise };
}

function readExpression(reader: Reader): LuaExpression {
  if (++reader.depth > MAX_DEPTH) throw new LuaError('its expressions are nested too deeply');
  let left = readAnd(reader);
  while (take(reader, 'or')) left = { kind: 'or', left, right: readAnd(reader) };
  reader.depth--;
  return left;
}

function readAnd(reader: Reader): LuaExpression {
  let left = readComparison(reader);
  while (take(reader, 'and')) left = { kind: 'and', left, right: readComparison(reader) };
  return left;
}

function readComparison(reader: Reader): LuaExpression {
  if (take(reader, 'not')) {
    if (++reader.depth > MAX_DEPTH) throw new LuaError('its expressions are nested too deeply');
    const of = readComparison(reader);
    reader.depth--;
    return { kind: 'not', of };
  }
  const left = readValue(reader);
  if (take(reader, '==')) return { kind: 'equal', left, right: readValue(reader) };
  if (take(reader, '~=')) return { kind: 'differs', left, right: readValue(reader) };
  return left;
}

function readValue(reader: Reader): LuaExpression {
  const { kind, text } = peek(reader);
  reader.at++;
  if (kind === 'text') return { kind, text };
  if (kind === 'number') return { kind, value: Number(text) };
  if (text === '{') return readTable(reader);
  if (text === '(') {
    const inner = readExpression(reader);
    expect(reader, ')');
    return inner;
  }
  if (kind !== 'word') throw new LuaError(kind === 'end' ? 'it ends too early' : `${text} is not read`);
  if (RESERVED.has(text)) throw new LuaError(`${text} is not read`);
  if (text === 'true' || text === 'false' || text === 'nil') return { kind: 'constant', word: text };
  if (take(reader, '(')) {
    const args: LuaExpression[] = [];
    while (!take(reader, ')')) {
      if (args.length > 0) expect(reader, ',');
      args.push(readExpression(reader));
    }
    return { kind: 'call', name: text, args };
  }
  // f{...} and f'...' are calls with one argument.
  const next = peek(reader);
  if (isNext(reader, '{') || next.kind === 'text') return { kind: 'call', name: text, args: [readValue(reader)] };
  return { kind: 'name', name: text };
}

const RESERVED: ReadonlySet<string> = new Set([
  ...['and', 'break', 'do', 'else', 'elseif', 'end', 'for', 'function', 'goto', 'if', 'in', 'local', 'not', 'or'],
  ...['repeat', 'return', 'then', 'until', 'while'],
]);

function readTable(reader: Reader): LuaExpression {
  const items: LuaExpression[] = [];
  const fields: LuaField[] = [];
  while (!take(reader, '}')) {
    const { kind, text } = peek(reader);
    const next = reader.tokens[reader.at + 1];
    if (take(reader, '[')) {
      const key = readExpression(reader);
      if (key.kind !== 'text') throw new LuaError('a key of a table that is not a text');
      expect(reader, ']');
      expect(reader, '=');
      fields.push({ key: key.text, value: readExpression(reader) });
    } else if (kind === 'word' && next?.kind === 'sign' && next.text === '=') {
      reader.at += 2;
      fields.push({ key: text, value: readExpression(reader) });
    } else items.push(readExpression(reader));
    if (!take(reader, ',') && !take(reader, ';') && !isNext(reader, '}')) {
      throw new LuaError(`${peek(reader).text || 'its end'} where } is expected`);
    }
  }
  return { kind: 'table', items, fields };
}
