# The rotation function that lets Secrets Manager start Keyturn's rotations; see docs/native-rotation.md. It is the worker's image on
# AWS Lambda's base:
#   docker build -t keyturn .
#   docker build -t keyturn-native-rotation -f deploy/aws/native-rotation.Dockerfile .
ARG KEYTURN_IMAGE=keyturn
FROM ${KEYTURN_IMAGE} AS keyturn

FROM public.ecr.aws/lambda/nodejs:22
COPY --from=keyturn /keyturn/ ${LAMBDA_TASK_ROOT}/
CMD ["dist/src/client/native-rotation/handler.handler"]
