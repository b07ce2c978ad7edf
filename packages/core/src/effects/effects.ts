/**
 * Effects: the clock, the timer and the dice, as arguments.
 *
 * Everything in the core that depends on time or chance takes them from here, so that a test or a
 * simulation owns both. `realEffects` is the only place where the process's own are read.
 */
export interface Effects {
  /** The current instant, as this machine believes: its clock may be set forward or back at any time. */
  now(): Date;
  /** Milliseconds from some fixed point; never set back, but may stand still while the machine sleeps. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` milliseconds (0 or less: on the next turn), or as soon as `signal` aborts.
   * It never rejects: a caller looks at its signal after every wait anyway.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
  /** A fresh UUID, version 4. */
  uuid(): string;
}
