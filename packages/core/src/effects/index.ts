export { countdown, timeLeft, unlessAborted, within, withTimeout } from './deadline.ts';
export type { Effects } from './effects.ts';
export { realEffects } from './real.ts';
export { type SimulatedEffects, seededRandom, simulatedEffects } from './simulated.ts';
