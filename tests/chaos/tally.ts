/** What happened to the system under chaos, as numbers. */
export interface Tally {
  /** SIGKILLs of jobs APIs and workers. */
  kills: number;
  /** Of them, those that left attempts open: the process had claimed, and was not done. */
  killsAtWork: number;
  /** Attempts left open by them. */
  attemptsCut: number;
  /** Of them, those that no call had been made for: most waited for a slot. */
  attemptsUncalled: number;
  postgresKills: number;
  redisKills: number;
  /** Processes replaced while they worked: how many ended in time, and how many had to be killed. */
  deploysEnded: number;
  deploysKilled: number;
  cuts: number;
  connectionsCut: number;
  /** Answers that Unipile lost, cut, held back or lied in. */
  answersSpoilt: number;
  /** Time that was moved on, in minutes. */
  minutesMoved: number;
}

export function createTally(): Tally {
  return {
    kills: 0,
    killsAtWork: 0,
    attemptsCut: 0,
    attemptsUncalled: 0,
    postgresKills: 0,
    redisKills: 0,
    deploysEnded: 0,
    deploysKilled: 0,
    cuts: 0,
    connectionsCut: 0,
    answersSpoilt: 0,
    minutesMoved: 0,
  };
}
