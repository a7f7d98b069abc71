/**
 * Domain names on the command line: they are absolute, with or without a final dot.
 */
import { NameError, parseName, type Name } from '../wire/name.ts';

/** Undefined if it is not a domain name. */
export function nameArgument(text: string): Name | undefined {
  try {
    return parseName(text.endsWith('.') ? text : `${text}.`);
  } catch (error) {
    if (error instanceof NameError) return undefined;
    throw error;
  }
}
