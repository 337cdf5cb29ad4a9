import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.output.CommandOutput;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Any reply, as an application collects one that Lettuce has no class for; its ObjectOutput takes no null at the top. */
final class LettuceReply extends CommandOutput<byte[], byte[], Object> {
  /** What is being collected: the values so far, and how many are missing. */
  private static final class Frame {
    final List<Object> values = new ArrayList<>();
    final boolean isMap;
    int missing;

    Frame(boolean isMap, int missing) {
      this.isMap = isMap;
      this.missing = missing;
    }

    Object finished() {
      if (!isMap) return values;
      Map<Object, Object> map = new LinkedHashMap<>();
      for (int i = 0; i < values.size(); i += 2) map.put(Driver.plain(values.get(i)), values.get(i + 1));
      return map;
    }
  }

  private final Deque<Frame> open = new ArrayDeque<>();

  LettuceReply() {
    super(ByteArrayCodec.INSTANCE, null);
  }

  @Override
  public void set(ByteBuffer value) {
    add(value == null ? null : codec.decodeValue(value));
  }

  @Override
  public void setSingle(ByteBuffer value) {
    set(value);
  }

  @Override
  public void set(long value) {
    add(value);
  }

  @Override
  public void set(double value) {
    add(value);
  }

  @Override
  public void set(boolean value) {
    add(value);
  }

  @Override
  public void multi(int count) {
    begin(new Frame(false, count));
  }

  @Override
  public void multiMap(int pairs) {
    begin(new Frame(true, 2 * pairs));
  }

  private void begin(Frame frame) {
    if (frame.missing == 0) add(frame.finished());
    else open.push(frame);
  }

  private void add(Object value) {
    Frame frame = open.peek();
    if (frame == null) {
      output = value;
      return;
    }
    frame.values.add(value);
    frame.missing -= 1;
    if (frame.missing > 0) return;
    open.pop();
    add(frame.finished());
  }
}
