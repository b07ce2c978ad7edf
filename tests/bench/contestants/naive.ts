/**
 * The loop that comes to mind first: fifty pending rows, one after the other, sent and then marked.
 * No claim, no limits.
 */
import { clientOf } from '@revos/local-stack';
import type { Enter, Message } from '../contestant.ts';
import { plainClient } from '../plain-client.ts';

export const enter: Enter = async (order) => {
  if (order.rest === null) throw new Error('needs the REST API');
  const client = plainClient(order);
  const supabase = clientOf(order.rest);
  return async () => {
    for (;;) {
      const { data: pending, error } = await supabase
        .from('dm_queue')
        .select('*')
        .eq('status', 'pending')
        .lte('send_at', new Date().toISOString())
        .limit(50);
      if (error) throw new Error(error.message);
      if (pending.length === 0) return;
      for (const dm of pending as Message[]) {
        await client.send(dm);
        const { error: failure } = await supabase
          .from('dm_queue')
          .update({ status: 'sent', sent_at: new Date().toISOString() })
          .eq('id', dm.id);
        if (failure) throw new Error(failure.message);
      }
    }
  };
};
