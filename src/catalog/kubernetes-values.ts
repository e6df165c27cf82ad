import { z } from 'zod';

const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;

/** The name of a namespace: a DNS label (RFC 1123; Kubernetes manual, 'Object Names and IDs'). */
export function isNamespace(name: string): boolean {
  return name.length <= LONGEST_LABEL && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name);
}

export const namespaceName = z
  .string()
  .refine(
    isNamespace,
    `is not the name of a namespace: at most ${LONGEST_LABEL} small letters, digits and hyphens are allowed, no hyphen first or last`,
  );

/** The name of most objects: a DNS subdomain (Kubernetes manual, 'Object Names and IDs'). */
export function objectName(description: string) {
  return z
    .string()
    .refine(
      (name) => name.length <= LONGEST_NAME && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name),
      `is not the name of a Kubernetes object: at most ${LONGEST_NAME} small letters, digits, hyphens and dots are allowed, letters or digits first and last`,
    )
    .describe(description);
}

/** A key of a Secret's data (Kubernetes manual, 'Secrets'). */
export const secretDataKey = z
  .string()
  .regex(
    /^[A-Za-z0-9._-]{1,253}$/,
    'is not a key of a Kubernetes Secret: at most 253 letters, digits and - _ . are allowed',
  );
