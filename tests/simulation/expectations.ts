/** What enough stories must have met: a promise that was never put to the test is not proven by them. */

/** How often at least, for each story. */
const PER_STORY: Readonly<Record<string, number>> = {};

/** Stories of which these numbers are true. */
const STORIES_MIN = 100;

/** What came up too seldom, in words; nothing where there were too few stories to say. */
export function unfulfilled(counts: Readonly<Record<string, number>>, stories: number): string[] {
  if (stories < STORIES_MIN) return [];
  return Object.entries(PER_STORY)
    .filter(([name, perStory]) => (counts[name] ?? 0) < perStory * stories)
    .map(([name]) => `${name}: ${counts[name] ?? 0} in ${stories} stories`);
}
