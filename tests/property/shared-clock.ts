/**
 * One simulated clock for sessions that work in parallel.
 *
 * A call reads it when it begins, as a transaction reads now(), and may reach the database after it
 * has moved on: so sessions are a little stale, and never by more than `STALE_MS_MAX`. A longer
 * jump waits until no call is under way.
 */
export const STALE_MS_MAX = 2_000;

export class SharedClock {
  nowMs: number;
  #calls = 0;
  #isJumping = false;
  readonly #waiting: Array<() => void> = [];

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** Runs a call, and hands it the instant that the clock shows as it begins. */
  async during<Result>(call: (nowMs: number) => Promise<Result>): Promise<Result> {
    while (this.#isJumping) await this.#change();
    this.#calls += 1;
    try {
      return await call(this.nowMs);
    } finally {
      this.#calls -= 1;
      this.#changed();
    }
  }

  /** Moves the clock forward; never back. */
  async advance(ms: number): Promise<void> {
    while (this.#isJumping) await this.#change();
    if (ms > STALE_MS_MAX / 4) {
      this.#isJumping = true;
      while (this.#calls > 0) await this.#change();
      this.#isJumping = false;
    }
    this.nowMs += Math.max(0, Math.round(ms));
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
