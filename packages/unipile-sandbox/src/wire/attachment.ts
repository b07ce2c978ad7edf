/** Files of a message or a post, as reads show them. */
import type { Attachment } from '../world/model.ts';

/** What every telling of a file has in common. */
export function fileWire({ fileName, mimeType, sizeBytes }: Attachment): {
  file_name: string;
  file_size: number;
  mimetype: string;
} {
  return { file_name: fileName, file_size: sizeBytes, mimetype: mimeType };
}

export function attachmentsWire(ownerId: string, attachments: readonly Attachment[]): unknown[] {
  return attachments.map((attachment, index) => ({
    id: `${ownerId}_${index}`,
    type: 'file',
    ...fileWire(attachment),
    unavailable: false,
  }));
}
