/** What enough stories must have met: a promise that was never put to the test is not proven by them. */
import { FAULTS } from './plan.ts';

/** Stories of which these numbers are true. */
const STORIES_MIN = 100;

/** How often each fault strikes at least, for each story. */
const FAULT_PER_STORY = 0.005;

/** How often the rest happens at least, for each story. */
const PER_STORY: Readonly<Record<string, number>> = {
  claims: 8,
  'claims of posts': 0.5,
  'claimed ahead': 0.3,
  message: 6,
  post: 0.5,
  'end: sent': 5,
  'end: published': 0.4,
  'end: failed': 0.1,
  'end: cancelled': 0.3,
  'left: day_limit': 0.3,
  'left: rolling_24h_limit': 0.1,
  'left: rolling_7d_limit': 0.3,
  'left: outside_hours': 0.3,
  'left: day_off': 0.1,
  'a request arrives although it was given up': 0.1,
  'a reply': 1,
  'Unipile: a write, 201': 6,
  ...Object.fromEntries(FAULTS.map((name) => [`fault: ${name}`, FAULT_PER_STORY])),
};

/** What came up too seldom, in words; nothing where there were too few stories to say. */
export function unfulfilled(counts: Readonly<Record<string, number>>, stories: number): string[] {
  if (stories < STORIES_MIN) return [];
  return Object.entries(PER_STORY)
    .filter(([name, perStory]) => (counts[name] ?? 0) < perStory * stories)
    .map(([name]) => `${name}: ${counts[name] ?? 0} in ${stories} stories`);
}
