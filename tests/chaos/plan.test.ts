/** The plan: that a seed gives the same one again, and when a round is over. */
import { describe, expect, it } from 'vitest';
import { drawCut, drawKillPoint, drawMoments, isRoundOver, LONG, SHORT, shareOf, streamsOf } from './plan.ts';

function planOf(seed: number): unknown {
  const streams = streamsOf(seed);
  return ['place 0', 'place 1', 'cuts'].map((name) => {
    const random = streams(name);
    const draw = (): unknown => [drawKillPoint(random), drawCut(random), drawMoments(random, 3, 100)];
    return Array.from({ length: 20 }, draw);
  });
}

describe('the plan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(planOf(7)).toEqual(planOf(7));
    expect(planOf(7)).not.toEqual(planOf(8));
  });

  it('is drawn by each part for itself, however often another one draws', () => {
    const alone = streamsOf(7)('place 1').next();
    const streams = streamsOf(7);
    streams('place 0').next();
    expect(streams('place 1').next()).toBe(alone);
    expect(streams('place 0').next()).not.toBe(alone);
  });

  it.each([SHORT, LONG])(
    '$name: what happens now and then is spread over the rounds, and all of it happens',
    (form) => {
      const rounds = Array.from({ length: form.roundCount }, (_, index) => index + 1);
      for (const total of [form.postgresKills, form.deploys]) {
        const shares = rounds.map((round) => shareOf(total, round, form.roundCount));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(total);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }
    },
  );

  const form = { ...SHORT, roundCount: 2, killsPerRound: 30, minutesMax: 2 };
  it.each([
    { what: 'its last kill', so: { kills: 30, killsAtWork: 0, minutes: 0 }, isOver: true },
    { what: 'one kill short, in time', so: { kills: 29, killsAtWork: 29, minutes: 1 }, isOver: false },
    {
      what: 'its time, with enough killed at work',
      so: { kills: 12, killsAtWork: 10, minutes: 1.01 },
      isOver: true,
    },
    { what: 'its time, with too little', so: { kills: 12, killsAtWork: 9, minutes: 1.01 }, isOver: false },
    { what: 'four times its time', so: { kills: 0, killsAtWork: 0, minutes: 4.01 }, isOver: true },
  ])('a round with $what: over is $isOver', ({ so, isOver }) => {
    expect(isRoundOver(form, 1, so)).toBe(isOver);
  });

  it('the second round needs as much again', () => {
    const so = { kills: 12, killsAtWork: 19, minutes: 1.01 };
    expect(isRoundOver(form, 2, so)).toBe(false);
    expect(isRoundOver(form, 2, { ...so, killsAtWork: 20 })).toBe(true);
  });
});
