/** What incidents of the cron route become, and whom to tell of what: a table of short stories. */
import { describe, expect, it } from 'vitest';
import {
  afterFailure,
  afterSuccess,
  type TriggerIncidents,
  untold,
  withDelivered,
} from '../src/cron/trigger-incidents.ts';

const FAILURE = { status: 502, title: 'The jobs API refused', detail: 'It answered 401.' };

/** `minute` after midnight; slots are of five minutes. */
const at = (minute: number): Date => new Date(Date.UTC(2026, 10, 24, 0, minute, 30));
const fails = (job: string, minute: number) => (known: TriggerIncidents) =>
  afterFailure(
    known,
    { job, scheduledFor: new Date(Date.UTC(2026, 10, 24, 0, minute - (minute % 5))) },
    FAILURE,
    at(minute),
  );
const works = (job: string, minute: number) => (known: TriggerIncidents) =>
  afterSuccess(known, job, at(minute));

type Change = ReturnType<typeof works>;
const after = (...changes: readonly Change[]): TriggerIncidents =>
  changes.reduce<TriggerIncidents>((known, change) => change(known), []);

/** Each incident as `begin-end`, in minutes; the jobs that fail, while it lasts. */
const spans = (known: TriggerIncidents): string[] =>
  known.map(({ alert: { opened_at, ended_at }, failing }) => {
    const minuteOf = (instant: string) => Math.floor((Date.parse(instant) - at(0).getTime()) / 60_000);
    const end = ended_at === null ? ` ${Object.keys(failing)}` : minuteOf(ended_at);
    return `${minuteOf(opened_at)}-${end}`;
  });

describe('what incidents become', () => {
  it.each<{ story: string; changes: Change[]; become: string[] }>([
    { story: 'nothing fails', changes: [works('dm', 0)], become: [] },
    { story: 'one job fails', changes: [fails('dm', 0), fails('dm', 15)], become: ['0- dm'] },
    { story: 'another fails too', changes: [fails('dm', 0), fails('posts', 5)], become: ['0- dm,posts'] },
    { story: 'another works', changes: [fails('dm', 0), works('posts', 5)], become: ['0- dm'] },
    {
      story: 'one of two works',
      changes: [fails('dm', 0), fails('posts', 0), works('dm', 15)],
      become: ['0- posts'],
    },
    {
      story: 'each of them works',
      changes: [fails('dm', 0), fails('posts', 0), works('dm', 15), works('posts', 15)],
      become: ['0-15'],
    },
    {
      story: 'one fails 9 minutes after the end',
      changes: [fails('dm', 0), works('dm', 15), fails('dm', 24)],
      become: ['0-15'],
    },
    {
      story: 'one fails 10 minutes after the end',
      changes: [fails('dm', 0), works('dm', 15), fails('dm', 25)],
      become: ['0-15', '25- dm'],
    },
    {
      story: 'a slot that began an incident fails again, after its end',
      changes: [fails('dm', 0), works('dm', 1), (known) => afterSlotZero(known)],
      become: ['0-1'],
    },
    {
      story: 'a job is not seen again for less than two hours',
      changes: [fails('daily', 0), fails('dm', 0), works('dm', 119)],
      become: ['0- daily'],
    },
    {
      story: 'a job is not seen again for two hours, and another works',
      changes: [fails('daily', 0), works('dm', 120)],
      become: ['0-120'],
    },
    {
      story: 'there are six: the oldest is left out',
      changes: [0, 20, 40, 60, 80, 100].flatMap((minute) => [fails('dm', minute), works('dm', minute + 10)]),
      become: ['20-30', '40-50', '60-70', '80-90', '100-110'],
    },
  ])('$story → $become', ({ changes, become }) => {
    expect(spans(after(...changes))).toEqual(become);
  });

  /** The slot of minute 0 is asked for by hand, half an hour later. */
  const afterSlotZero = (known: TriggerIncidents) =>
    afterFailure(known, { job: 'dm', scheduledFor: new Date(Date.UTC(2026, 10, 24)) }, FAILURE, at(30));

  it.each([
    { what: 'begins one', change: fails('dm', 0), known: [] },
    { what: 'adds a job', change: fails('posts', 5), known: after(fails('dm', 0)) },
    { what: 'takes a job away', change: works('dm', 5), known: after(fails('dm', 0), fails('posts', 0)) },
    { what: 'ends one', change: works('dm', 5), known: after(fails('dm', 0)) },
  ])('a change that $what makes no difference the second time', ({ change, known }) => {
    expect(change(change(known))).toEqual(change(known));
  });

  it('what does not change is given back as it is', () => {
    const ended = after(fails('dm', 0), works('dm', 5));
    const lasting = after(fails('dm', 0));
    expect(fails('dm', 6)(ended)).toBe(ended);
    expect(works('dm', 6)(ended)).toBe(ended);
    expect(works('posts', 6)(lasting)).toBe(lasting);
  });
});

describe('who is told of what', () => {
  const lasting = after(fails('dm', 0));
  const ended = after(fails('dm', 0), works('dm', 15));
  const again = fails('dm', 30)(ended);
  const took = (event: 'opened' | 'ended', channel: string) => [
    { id: 'trigger-failed:2026-11-24T00:00:00Z', event, channel },
  ];
  const opened = withDelivered(ended, took('opened', 'slack'));
  const DAY = 24 * 60;

  it.each<{ what: string; known: TriggerIncidents; minute: number; events: string[] }>([
    { what: 'it lasts', known: lasting, minute: 0, events: ['opened'] },
    { what: 'it lasts for a day', known: lasting, minute: DAY, events: [] },
    { what: 'it is over', known: ended, minute: 15, events: ['opened', 'ended'] },
    { what: 'its beginning was told', known: opened, minute: 15, events: ['ended'] },
    {
      what: 'another channel was told',
      known: withDelivered(ended, took('opened', 'webhook')),
      minute: 15,
      events: ['opened', 'ended'],
    },
    { what: 'all was told', known: withDelivered(opened, took('ended', 'slack')), minute: 15, events: [] },
    { what: 'it was over for less than a day', known: opened, minute: DAY + 14, events: ['ended'] },
    { what: 'it was over for a day', known: opened, minute: DAY + 15, events: [] },
    { what: 'another began', known: again, minute: 30, events: ['opened', 'ended', 'opened'] },
  ])('$what → $events', ({ known, minute, events }) => {
    expect(untold(known, 'slack', at(minute)).map(({ event }) => event)).toEqual(events);
  });

  it('a beginning is told as it was, though it is over', () => {
    const [beginning, end] = untold(ended, 'slack', at(15));
    expect(beginning?.alert).toEqual(untold(lasting, 'slack', at(0))[0]?.alert);
    expect(end?.alert.ended_at).toBe('2026-11-24T00:15:30.000Z');
  });

  it('an id names the slot, and has no dot: a webhook signs it before one', () => {
    expect(lasting[0]?.alert.id).toBe('trigger-failed:2026-11-24T00:00:00Z');
  });

  it('what is told twice is kept once', () => {
    expect(withDelivered(opened, took('opened', 'slack'))).toEqual(opened);
  });
});
