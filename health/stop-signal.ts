/**
 * Stops probes. A probe needs two such signals. An AbortController with its EventTarget would cost several microseconds
 * and a kilobyte.
 */

/** Called once when a signal aborts; an object needs no closure. Every listener of the DOM has one of these forms. */
export type StopListener = { handleEvent(): void };
type Listener = StopListener | (() => void);

/** The part of an AbortSignal that probes use. Every AbortSignal is a StopSignal too. */
export type StopSignal = {
  readonly aborted: boolean;
  /** The reason that the caller of `abort` gave. */
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: Listener, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', listener: Listener): void;
};

export type Stopper = StopSignal & { abort(reason?: unknown): void };

export function createStopper(): Stopper {
  return new LightStopper();
}

/** A class, so that its methods take no memory. */
export class LightStopper implements Stopper {
  aborted = false;
  reason: unknown = undefined;
  /** Most have one listener. */
  #listener: Listener | undefined = undefined;
  #more: Listener[] | undefined = undefined;

  addEventListener(_type: 'abort', listener: Listener): void {
    if (this.#listener === undefined) this.#listener = listener;
    else (this.#more ??= []).push(listener);
  }

  removeEventListener(_type: 'abort', listener: Listener): void {
    if (this.#listener === listener) this.#listener = undefined;
    else this.#more = this.#more?.filter((other) => other !== listener);
  }

  /** Each listener is called once. */
  abort(reason?: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const [first, more] = [this.#listener, this.#more];
    this.#listener = this.#more = undefined;
    if (first !== undefined) call(first);
    for (const listener of more ?? []) call(listener);
  }
}

function call(listener: Listener): void {
  if (typeof listener === 'function') listener();
  else listener.handleEvent();
}
