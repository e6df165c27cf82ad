import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.temporal.api.workflowservice.v1.RespondWorkflowTaskCompletedRequest;
import io.temporal.internal.testservice.GRPCServerHelper;
import io.temporal.internal.testservice.TestServicesStarter;
import java.net.InetAddress;
import java.net.InetSocketAddress;

/**
 * Temporal's test server, with two differences from its own program, io.temporal.testserver.TestServer: it listens on the loopback
 * interface alone, and a workflow outlives its worker. Its argument is the port.
 */
class TimeSkippingServer {
  public static void main(String[] args) throws Exception {
    var address = new InetSocketAddress(InetAddress.getByName("127.0.0.1"), Integer.parseInt(args[0]));
    // Time stands until a client skips it, and begins now.
    var services = new TestServicesStarter(true, 0);
    var builder = NettyServerBuilder.forAddress(address).intercept(new WithoutStickyQueues());
    GRPCServerHelper.registerServicesAndHealthChecks(services.getServices(), builder);
    builder.build().start().awaitTermination();
  }

  /** The test server never takes a task back from the sticky queue of a worker that is gone, so no worker gets one. */
  static class WithoutStickyQueues implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      return new SimpleForwardingServerCallListener<Q>(next.startCall(call, headers)) {
        @Override
        @SuppressWarnings("unchecked")
        public void onMessage(Q message) {
          if (message instanceof RespondWorkflowTaskCompletedRequest) {
            var completed = (RespondWorkflowTaskCompletedRequest) message;
            super.onMessage((Q) completed.toBuilder().clearStickyAttributes().build());
          } else {
            super.onMessage(message);
          }
        }
      };
    }
  }
}
