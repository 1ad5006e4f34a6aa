"""Pictures as SVG. All of this room but `course` and `style` imports matplotlib: import it where a picture is drawn."""
