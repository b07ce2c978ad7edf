import type { RunStatus } from '@revos/core/jobs';
import type { ReactNode } from 'react';
import { STATUS_WORDS } from './words.ts';

/** A shape for each status, so that none depends on its colour. */
const SHAPES: Readonly<Record<RunStatus, ReactNode>> = {
  queued: <circle cx="8" cy="8" r="5.25" strokeDasharray="2.4 2.4" />,
  running: (
    <>
      <circle cx="8" cy="8" r="5.75" opacity="0.3" />
      <path className="turning" d="M8 2.25A5.75 5.75 0 0 1 13.75 8" />
    </>
  ),
  succeeded: <path d="m3 8.5 3.25 3.25L13 5" />,
  failed: <path d="m4 4 8 8m0-8-8 8" />,
  cancelled: (
    <>
      <circle cx="8" cy="8" r="5.25" />
      <path d="m4.5 11.5 7-7" />
    </>
  ),
  interrupted: <path d="M5.5 3.5v9m5-9v9" />,
};

export function StatusBadge({ status }: { status: RunStatus }) {
  return (
    <span className={`badge badge-${status}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
        {SHAPES[status]}
      </svg>
      {STATUS_WORDS[status]}
    </span>
  );
}
