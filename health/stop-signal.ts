/**
 * Stops probes. A probe needs two such signals. An AbortController with its EventTarget would cost several microseconds
 * and a kilobyte.
 */

/** The part of an AbortSignal that probes use. Every AbortSignal is a StopSignal too. */
export type StopSignal = {
  readonly aborted: boolean;
  /** The reason that the caller of `abort` gave. */
  readonly reason: unknown;
  addEventListener(type: 'abort', run: () => void, options?: { readonly once: boolean }): void;
  removeEventListener(type: 'abort', run: () => void): void;
};

export type Stopper = StopSignal & { abort(reason?: unknown): void };

export function createStopper(): Stopper {
  return new LightStopper();
}

/** A class, so that its methods take no memory. */
class LightStopper implements Stopper {
  aborted = false;
  reason: unknown = undefined;
  /** Most have one listener. */
  #listener: (() => void) | undefined = undefined;
  #more: (() => void)[] | undefined = undefined;

  addEventListener(_type: 'abort', run: () => void): void {
    if (this.#listener === undefined) this.#listener = run;
    else (this.#more ??= []).push(run);
  }

  removeEventListener(_type: 'abort', run: () => void): void {
    if (this.#listener === run) this.#listener = undefined;
    else this.#more = this.#more?.filter((other) => other !== run);
  }

  /** Each listener is called once. */
  abort(reason?: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const [first, more] = [this.#listener, this.#more];
    this.#listener = this.#more = undefined;
    first?.();
    for (const run of more ?? []) run();
  }
}
