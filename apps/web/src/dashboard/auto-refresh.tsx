'use client';

import { useRouter } from 'next/navigation';
import { useEffect, useTransition } from 'react';

/** Reads the page anew every `everyMs` milliseconds, while someone can see it. Shows nothing. */
export function AutoRefresh({ everyMs }: { everyMs: number }) {
  const router = useRouter();
  const [isRefreshing, startRefresh] = useTransition();

  useEffect(() => {
    if (isRefreshing) return;
    const refresh = () => {
      // Offline, a refresh would replace the page by the browser's own error.
      if (document.visibilityState === 'visible' && navigator.onLine) startRefresh(() => router.refresh());
    };
    const timer = setInterval(refresh, everyMs);
    document.addEventListener('visibilitychange', refresh);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', refresh);
    };
  }, [everyMs, isRefreshing, router]);

  return null;
}
