"""An archive: objects that are stored, found, served and moved, on the public interface alone."""
